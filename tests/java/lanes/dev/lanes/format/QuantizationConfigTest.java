package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.QuantizationConfig.InputScale;
import dev.lanes.format.QuantizationConfig.Scheme;
import dev.lanes.format.QuantizationConfig.WeightScale;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The quantization_config of compressed-tensors: what is read, which module it means, and what is refused by name. */
class QuantizationConfigTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Scheme CHANNEL = new Scheme(WeightScale.CHANNEL, InputScale.TOKEN);
  private static final Scheme TENSOR = new Scheme(WeightScale.TENSOR, InputScale.STATIC);
  private static final String DOWN = "model.layers.1.mlp.down_proj";

  @TempDir
  Path directory;

  private static ObjectNode object(String json) {
    try {
      return (ObjectNode) JSON.readTree(json.replace('\'', '"'));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Channel scales and tokens' own, for the targets. */
  private static ObjectNode dynamicGroup(String... targets) {
    ObjectNode group = object("{'weights': {'num_bits': 8, 'type': 'int', 'symmetric': true, 'strategy': 'channel', 'dynamic': false,"
        + " 'group_size': null}, 'input_activations': {'num_bits': 8, 'type': 'int', 'symmetric': true, 'strategy': 'token',"
        + " 'dynamic': true, 'group_size': null}, 'output_activations': null}");
    List.of(targets).forEach(group.putArray("targets")::add);
    return group;
  }

  /** One scale for a tensor, of weights and of inputs. */
  private static ObjectNode staticGroup(String... targets) {
    ObjectNode group = dynamicGroup(targets);
    ((ObjectNode) group.get("weights")).put("strategy", "tensor");
    ((ObjectNode) group.get("input_activations")).put("strategy", "tensor").put("dynamic", false);
    return group;
  }

  private static ObjectNode quantization(ObjectNode... groups) {
    ObjectNode config = object("{'quant_method': 'compressed-tensors', 'format': 'int-quantized', 'quantization_status': 'compressed',"
        + " 'ignore': ['lm_head'], 'kv_cache_scheme': null, 'sparsity_config': {}, 'global_compression_ratio': 1.2}");
    ObjectNode all = config.putObject("config_groups");
    for (int i = 0; i < groups.length; i++) {
      all.set("group_" + i, groups[i]);
    }
    return config;
  }

  private ModelConfig read(String field, ObjectNode quantization) {
    ObjectNode config = object("{'model_type': 'llama'}");
    config.set(field, quantization);
    try {
      Files.writeString(directory.resolve("config.json"), config.toString());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return ModelConfig.load(directory);
  }

  private QuantizationConfig read(ObjectNode quantization) {
    return read("quantization_config", quantization).quantization().orElseThrow();
  }

  @Test
  void readsWhatIsSupported() {
    assertThat(read(quantization(dynamicGroup("Linear"))).schemeOf(DOWN, "Linear")).contains(CHANNEL);
    assertThat(read(quantization(staticGroup("Linear"))).schemeOf(DOWN, "Linear")).contains(TENSOR);
    assertThat(read("compression_config", quantization(dynamicGroup("Linear"))).quantization()).isPresent();
    assertThat(read("quantization_config", null).quantization()).isEmpty();
    // What is not said has the defaults of compressed-tensors.
    QuantizationConfig brief = read(quantization(object("{'targets': ['Linear'], 'weights': {'group_size': -1},"
        + " 'input_activations': {'dynamic': true, 'strategy': 'TOKEN'}}")));
    assertThat(brief.schemeOf(DOWN, "Linear")).contains(CHANNEL);
    QuantizationConfig briefer = read(quantization(object("{'targets': ['Linear'], 'weights': {}, 'input_activations': {}}")));
    assertThat(briefer.schemeOf(DOWN, "Linear")).contains(TENSOR);
    ObjectNode preset = quantization();
    ((ObjectNode) preset.get("config_groups")).putArray("W8A8").add("Linear");
    assertThat(read(preset).schemeOf(DOWN, "Linear")).contains(CHANNEL);
    ObjectNode mixed = quantization(dynamicGroup("Linear").put("format", "int-quantized")).put("format", "mixed-precision");
    assertThat(read(mixed).schemeOf(DOWN, "Linear")).contains(CHANNEL);
  }

  @Test
  void classesNamesAndExpressions() {
    QuantizationConfig config = read(quantization(dynamicGroup("Linear"), staticGroup("re:.*down_proj", DOWN + "x")));
    assertThat(config.schemeOf("model.layers.0.mlp.up_proj", "Linear")).as("by class").contains(CHANNEL);
    assertThat(config.schemeOf(DOWN, "Linear")).as("an expression before a class").contains(TENSOR);
    assertThat(config.schemeOf("transformer.h.0.attn.c_attn", "Conv1D")).as("another class").isEmpty();
    assertThat(config.schemeOf("lm_head", "Linear")).as("ignored").isEmpty();
    config = read(quantization(staticGroup("re:model"), dynamicGroup(DOWN)));
    assertThat(config.schemeOf(DOWN, "Linear")).as("a name before an expression").contains(CHANNEL);
    assertThat(config.schemeOf("model.layers.1.mlp.up_proj", "Linear")).contains(TENSOR);
    assertThat(config.schemeOf("not.model", "Linear")).as("from the beginning on").isEmpty();
  }

  @ParameterizedTest
  @MethodSource("ignored")
  void ignores(String pattern, String module, boolean ignored) {
    ObjectNode quantization = quantization(dynamicGroup("Linear"));
    quantization.putArray("ignore").add(pattern);
    Optional<Scheme> scheme = read(quantization).schemeOf(module, "Linear");
    assertThat(scheme.isEmpty()).as("%s ignores %s", pattern, module).isEqualTo(ignored);
  }

  static List<Arguments> ignored() {
    return List.of(
        Arguments.of(DOWN, DOWN, true),
        Arguments.of("down_proj", DOWN, false),
        Arguments.of("Linear", DOWN, true),
        Arguments.of("re:.*down_proj", DOWN, true),
        Arguments.of("re:.*down_proj$", DOWN + ".extra", false),
        Arguments.of("re:.*down_proj", DOWN + ".extra", true),
        Arguments.of("re:down_proj", DOWN, false),
        Arguments.of("re:model\\.layers\\.(0|1)\\.", DOWN, true),
        Arguments.of("re:model\\.layers\\.[2-9]\\.", DOWN, false),
        Arguments.of("re:^(?!.*self_attn).*proj$", DOWN, true),
        Arguments.of("re:", DOWN, true),
        Arguments.of("", DOWN, false));
  }

  private static Arguments refused(String item, String problem, Consumer<ObjectNode> change) {
    return Arguments.of(item, problem, change);
  }

  private static ObjectNode weights(ObjectNode config) {
    return (ObjectNode) config.at("/config_groups/group_0/weights");
  }

  private static ObjectNode inputs(ObjectNode config) {
    return (ObjectNode) config.at("/config_groups/group_0/input_activations");
  }

  private static ObjectNode group(ObjectNode config) {
    return (ObjectNode) config.at("/config_groups/group_0");
  }

  static List<Arguments> refusals() {
    String group = "config_groups.group_0.";
    return List.of(
        refused("quant_method", "\"gptq\"", c -> c.put("quant_method", "gptq")),
        refused("quant_method", "\"awq\"", c -> c.put("quant_method", "awq")),
        refused("quant_method", "\"bitsandbytes\"", c -> c.put("quant_method", "bitsandbytes")),
        refused("quant_method", "\"fp8\"", c -> c.put("quant_method", "fp8")),
        refused("quant_method", "unnamed", c -> c.remove("quant_method")),
        refused("format", "\"pack-quantized\"", c -> c.put("format", "pack-quantized")),
        refused("format", "\"float-quantized\"", c -> c.put("format", "float-quantized")),
        refused("format", "missing", c -> c.remove("format")),
        refused("sparsity_config.format", "\"sparse-24-bitmask\"", c -> c.set("sparsity_config", object("{'format': 'sparse-24-bitmask'}"))),
        refused("kv_cache_scheme", "KV cache", c -> c.set("kv_cache_scheme", object("{'num_bits': 8}"))),
        refused("transform_config", "transforms", c -> c.set("transform_config", object("{'config_groups': {}}"))),
        refused("config_groups.W4A16", "preset scheme \"W4A16\"", c -> ((ObjectNode) c.get("config_groups")).putArray("W4A16").add("Linear")),
        refused(group + "format", "\"pack-quantized\"", c -> group(c).put("format", "pack-quantized")),
        refused(group + "weights", "missing", c -> group(c).remove("weights")),
        refused(group + "weights.num_bits", "W4", c -> weights(c).put("num_bits", 4)),
        refused(group + "weights.type", "FP8", c -> weights(c).put("type", "float")),
        refused(group + "weights.symmetric", "zero points", c -> weights(c).put("symmetric", false)),
        refused(group + "weights.strategy", "\"group\"", c -> weights(c).put("strategy", "group")),
        refused(group + "weights.strategy", "\"block\"", c -> weights(c).put("strategy", "block")),
        refused(group + "weights.group_size", "128", c -> weights(c).put("strategy", "group").put("group_size", 128)),
        refused(group + "weights.actorder", "re-ordered", c -> weights(c).put("actorder", "group")),
        refused(group + "input_activations", "W8A16", c -> group(c).putNull("input_activations")),
        refused(group + "input_activations.num_bits", "A4", c -> inputs(c).put("num_bits", 4)),
        refused(group + "input_activations.symmetric", "zero points", c -> inputs(c).put("symmetric", false)),
        refused(group + "input_activations.type", "FP8", c -> inputs(c).put("type", "float")),
        refused(group + "input_activations.dynamic", "strategy \"token\"", c -> inputs(c).put("dynamic", false)),
        refused(group + "input_activations.dynamic", "strategy \"tensor\"", c -> inputs(c).put("strategy", "tensor")),
        refused(group + "input_activations.dynamic", "\"local\"", c -> inputs(c).put("dynamic", "local")),
        refused(group + "output_activations", "outputs", c -> group(c).set("output_activations", object("{'num_bits': 8}"))));
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("refusals")
  void refusesByName(String item, String problem, Consumer<ObjectNode> change) {
    ObjectNode quantization = quantization(dynamicGroup("Linear"));
    change.accept(quantization);
    assertThatThrownBy(() -> read(quantization))
        .isInstanceOfSatisfying(UnsupportedModelException.class, e -> {
          assertThat(e.item()).isEqualTo("quantization_config." + item);
          assertThat(e.file()).isEqualTo(directory.resolve("config.json"));
        })
        .hasMessageContaining(problem);
  }

  static List<Arguments> nonsense() {
    String group = "config_groups.group_0.";
    return List.of(
        refused("config_groups", "missing", c -> c.remove("config_groups")),
        refused("config_groups", "empty", c -> c.putObject("config_groups")),
        refused("config_groups", "is 3", c -> c.put("config_groups", 3)),
        refused("ignore", "\"lm_head\"", c -> c.put("ignore", "lm_head")),
        refused("ignore[0]", "is 7", c -> c.putArray("ignore").add(7)),
        refused("ignore[1]", "Unclosed", c -> c.putArray("ignore").add("lm_head").add("re:(model")),
        refused("ignore[0]", "1001 characters", c -> c.putArray("ignore").add("re:" + "a".repeat(998))),
        refused("ignore[0]", "repeats", c -> c.putArray("ignore").add("re:(a{1000}){1000}")),
        refused("ignore[0]", "repeats", c -> c.putArray("ignore").add("re:(?:$){999999999}")),
        refused(group + "targets[0]", "null", c -> group(c).putArray("targets").addNull()),
        refused(group + "weights.num_bits", "\"8\"", c -> weights(c).put("num_bits", "8")),
        refused(group + "weights.dynamic", "true", c -> weights(c).put("dynamic", true)),
        refused(group + "weights.symmetric", "\"yes\"", c -> weights(c).put("symmetric", "yes")));
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("nonsense")
  void refusesNonsense(String item, String problem, Consumer<ObjectNode> change) {
    ObjectNode quantization = quantization(dynamicGroup("Linear"));
    change.accept(quantization);
    assertThatThrownBy(() -> read(quantization))
        .isInstanceOfSatisfying(InvalidModelException.class, e -> assertThat(e.item()).isEqualTo("quantization_config." + item))
        .hasMessageContaining(problem);
  }

  /** Expressions that backtrack without end are refused when they are tried, not waited for. */
  @Test
  void expressionsThatTakeForEver() {
    String module = "model." + "a".repeat(200) + "!";
    for (String pattern : List.of("re:model\\.(a+)+$", "re:model\\.(a|a)*$", "re:model\\.(.*)*(.*)*(.*)*x", "re:(?:(?:(?:a?)*)*)*b.*z",
        "re:(x+x+)+y|model\\.((a*)*)*b")) {
      ObjectNode quantization = quantization(dynamicGroup("Linear"));
      quantization.putArray("ignore").add(pattern);
      QuantizationConfig config = read(quantization);
      Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
        try {
          config.schemeOf(module, "Linear");
        } catch (InvalidModelException e) {
          assertThat(e.item()).isEqualTo("quantization_config.ignore[0]");
          assertThat(e).hasMessageContaining(pattern).hasMessageContaining("steps");
        }
      }, pattern);
    }
    ObjectNode quantization = quantization(dynamicGroup("Linear"));
    quantization.putArray("ignore").add("re:model\\..*.*.*.*.*x");
    assertThatThrownBy(() -> read(quantization).schemeOf(module, "Linear")).isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("steps");
  }
}
