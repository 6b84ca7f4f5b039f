package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.QuantizationConfig.Group;
import dev.lanes.format.QuantizationConfig.InputScale;
import dev.lanes.format.QuantizationConfig.Scheme;
import dev.lanes.format.QuantizationConfig.WeightScale;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Reads a quantization_config of compressed-tensors; all but symmetric W8A8 of integers is refused by name. */
final class QuantizationConfigReader {
  private static final String EXPECTED = "; supported: quant_method \"compressed-tensors\" with format \"int-quantized\" (W8A8)";
  private static final String FORMAT = "int-quantized";
  private static final int MAX_PATTERNS = 10_000;

  private final JsonFields fields;

  /**
   * @param root the fields of config.json
   * @param field the one that holds the quantization
   */
  QuantizationConfigReader(JsonFields root, String field) {
    this.fields = root.object(field).orElseThrow();
  }

  QuantizationConfig read() {
    String method = fields.text("quant_method").orElse("");
    if (!method.equals("compressed-tensors")) {
      throw fields.unsupported("quant_method",
          (method.isEmpty() ? "is missing: an unnamed quantization" : "\"" + method + "\"") + " is not supported" + EXPECTED);
    }
    String format = fields.text("format").orElse("");
    // "mixed-precision" leaves the format to the groups.
    if (!format.equals(FORMAT) && !format.equals("mixed-precision")) {
      throw fields.unsupported("format", (format.isEmpty() ? "is missing" : "\"" + format + "\" is not supported") + EXPECTED);
    }
    fields.object("sparsity_config").ifPresent(sparsity -> {
      String name = sparsity.text("format").orElse("dense");
      if (!name.equals("dense")) {
        throw sparsity.unsupported("format", "sparsity \"" + name + "\" is not supported; expected \"dense\"");
      }
    });
    refuseObject("kv_cache_scheme", "a quantized KV cache in the checkpoint is not supported");
    refuseObject("transform_config", "transforms of weights and activations are not supported");
    List<Group> groups = groups();
    return new QuantizationConfig(groups, patterns(fields, "ignore"));
  }

  private void refuseObject(String name, String problem) {
    if (fields.has(name) && !(fields.raw(name).isObject() && fields.raw(name).isEmpty())) {
      throw fields.unsupported(name, problem);
    }
  }

  private List<Group> groups() {
    JsonFields all = fields.object("config_groups")
        .orElseThrow(() -> fields.invalid("config_groups", "is missing; it says which modules are quantized"));
    List<Group> groups = new ArrayList<>();
    for (String name : all.names()) {
      JsonNode node = all.raw(name);
      if (node.isArray() && name.equals("W8A8")) {
        // A preset scheme by name, with its targets.
        groups.add(new Group(patterns(all, name), new Scheme(WeightScale.CHANNEL, InputScale.TOKEN)));
      } else if (node instanceof ObjectNode object) {
        groups.add(group(all.child(name, object)));
      } else {
        throw all.unsupported(name, node.isArray() ? "the preset scheme \"" + name + "\" is not supported; supported: \"W8A8\""
            : "is " + Json.show(node) + ", expected an object");
      }
    }
    if (groups.isEmpty()) {
      throw fields.invalid("config_groups", "is empty; it says which modules are quantized");
    }
    return groups;
  }

  private Group group(JsonFields group) {
    String format = group.text("format").orElse(FORMAT);
    if (!format.equals(FORMAT)) {
      throw group.unsupported("format", "\"" + format + "\" is not supported" + EXPECTED);
    }
    JsonFields weights = group.object("weights")
        .orElseThrow(() -> group.unsupported("weights", "is missing: quantized activations of float weights are not supported" + EXPECTED));
    Scheme scheme = new Scheme(weights(weights), inputs(weights, group));
    if (group.has("output_activations")) {
      throw group.unsupported("output_activations", "quantized outputs of layers are not supported; expected null");
    }
    return new Group(patterns(group, "targets"), scheme);
  }

  private WeightScale weights(JsonFields weights) {
    integers(weights, "W");
    if (dynamic(weights)) {
      throw weights.invalid("dynamic", "is true; the scales of weights are stored, expected false");
    }
    return switch (strategy(weights, "tensor")) {
      case "channel" -> WeightScale.CHANNEL;
      case "tensor" -> WeightScale.TENSOR;
      default -> throw strategyUnsupported(weights, "\"channel\", \"tensor\"");
    };
  }

  private InputScale inputs(JsonFields weights, JsonFields group) {
    JsonFields inputs = group.object("input_activations").orElseThrow(() -> group.unsupported("input_activations",
        "is null: weight-only quantization (W" + weights.integer("num_bits", 8, 1, 64) + "A16) is not supported" + EXPECTED));
    integers(inputs, "A");
    boolean dynamic = dynamic(inputs);
    return switch (strategy(inputs, dynamic ? "token" : "tensor")) {
      case "token" -> {
        if (!dynamic) {
          throw inputs.unsupported("dynamic", "is false with the strategy \"token\"; scales of tokens are supported only at run time");
        }
        yield InputScale.TOKEN;
      }
      case "tensor" -> {
        if (dynamic) {
          throw inputs.unsupported("dynamic",
              "is true with the strategy \"tensor\", which makes a token's result depend on its batch; expected \"token\", or a stored scale");
        }
        yield InputScale.STATIC;
      }
      default -> throw strategyUnsupported(inputs, "\"token\", \"tensor\"");
    };
  }

  private static UnsupportedModelException strategyUnsupported(JsonFields args, String supported) {
    return args.unsupported("strategy", "\"" + args.text("strategy").orElse("group") + "\" is not supported; supported: " + supported);
  }

  /** @param letter what the width counts: weights (W) or activations (A) */
  private static void integers(JsonFields args, String letter) {
    int bits = args.integer("num_bits", 8, 1, 64);
    String type = args.text("type").orElse("int");
    if (!type.equalsIgnoreCase("int")) {
      throw args.unsupported("type", "\"" + type + "\" of " + bits + " bits (" + (bits == 8 ? "FP8" : "FP" + bits)
          + ") is not supported; expected \"int\"");
    }
    if (bits != 8) {
      throw args.unsupported("num_bits", "is " + bits + " (" + letter + bits + "), which is not supported; expected 8");
    }
    if (!args.bool("symmetric", true)) {
      throw args.unsupported("symmetric", "is false: zero points are not supported; expected true");
    }
    if (args.has("block_structure")) {
      throw args.unsupported("block_structure", "scales of blocks are not supported; expected null");
    }
    if (args.has("actorder") && !args.raw("actorder").asText().equals("false")) {
      throw args.unsupported("actorder", "re-ordered groups are not supported; expected null");
    }
  }

  private static boolean dynamic(JsonFields args) {
    if (args.has("dynamic") && args.raw("dynamic").isTextual()) {
      throw args.unsupported("dynamic", "\"" + args.raw("dynamic").textValue() + "\" is not supported; expected true or false");
    }
    return args.bool("dynamic", false);
  }

  /** What transformers infers where it is not said. */
  private static String strategy(JsonFields args, String fallback) {
    int size = args.optionalInteger("group_size", -1, Integer.MAX_VALUE).orElse(0);
    if (size > 0) {
      throw args.unsupported("group_size", "is " + size + ": scales of groups are not supported; expected null");
    }
    return args.text("strategy").map(name -> name.toLowerCase(Locale.ROOT)).orElse(size == -1 ? "channel" : fallback);
  }

  private List<ModulePattern> patterns(JsonFields from, String name) {
    List<JsonNode> elements = from.elements(name);
    if (elements.size() > MAX_PATTERNS) {
      throw from.invalid(name, "has " + elements.size() + " elements, expected at most " + MAX_PATTERNS);
    }
    List<ModulePattern> patterns = new ArrayList<>();
    for (int i = 0; i < elements.size(); i++) {
      String at = name + "[" + i + "]";
      if (!elements.get(i).isTextual()) {
        throw from.invalid(at, "is " + Json.show(elements.get(i)) + ", expected a string");
      }
      patterns.add(ModulePattern.of(from.file(), from.path(at), elements.get(i).textValue()));
    }
    return patterns;
  }
}
