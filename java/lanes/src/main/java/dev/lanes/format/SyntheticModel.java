package dev.lanes.format;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * A Llama of a given shape with random bfloat16 weights: what benchmarks measure, since speed does not depend on the numbers.
 *
 * @param tied whether the LM head is the embedding
 */
public record SyntheticModel(int layers, int hiddenSize, int heads, int kvHeads, int intermediateSize, int vocabulary, int context,
    boolean tied) {
  private static final long SEED = 7;

  /** Known shapes by name: 1.2b is Llama 3.2 1B's, 1.1b TinyLlama's with a longer context, 135m SmolLM's, 15m that of a story teller. */
  public static final Map<String, SyntheticModel> SHAPES = shapes();

  private static Map<String, SyntheticModel> shapes() {
    Map<String, SyntheticModel> shapes = new LinkedHashMap<>();
    shapes.put("1.2b", new SyntheticModel(16, 2048, 32, 8, 8192, 128256, 32768, true));
    shapes.put("1.1b", new SyntheticModel(22, 2048, 32, 4, 5632, 32000, 24576, false));
    shapes.put("135m", new SyntheticModel(30, 576, 9, 3, 1536, 49152, 8192, true));
    shapes.put("15m", new SyntheticModel(6, 288, 6, 6, 768, 32000, 2048, true));
    return shapes;
  }

  /** A matrix [rows, columns], or a norm's weight [columns] where rows is 1. */
  private record Weight(String name, int rows, int columns) {}

  public int headDim() {
    return hiddenSize / heads;
  }

  private int kvWidth() {
    return kvHeads * headDim();
  }

  /** Parameters of the layers' matrices: what every token is multiplied with. */
  public long layerParameters() {
    return (long) layers * ((long) hiddenSize * (2L * hiddenSize + 2L * kvWidth()) + 3L * hiddenSize * intermediateSize);
  }

  /** Parameters of the LM head: what the last token of a sequence is multiplied with. */
  public long headParameters() {
    return (long) vocabulary * hiddenSize;
  }

  /** Writes model.safetensors, then config.json: a Hugging Face directory without a tokenizer. */
  public void write(Path directory) throws IOException {
    Files.createDirectories(directory);
    SafetensorsWriter writer = new SafetensorsWriter();
    for (Weight weight : weights()) {
      if (weight.rows() == 1) {
        writer.add(weight.name(), DType.BF16, SyntheticModel::ones, weight.columns());
      } else {
        writer.add(weight.name(), DType.BF16, random(weight), weight.rows(), weight.columns());
      }
    }
    writer.write(directory.resolve("model.safetensors"));
    Files.writeString(directory.resolve("config.json"), config().toPrettyString());
  }

  private ObjectNode config() {
    ObjectNode config = new ObjectMapper().createObjectNode();
    config.putArray("architectures").add("LlamaForCausalLM");
    config.put("model_type", "llama");
    config.put("hidden_act", "silu");
    config.put("hidden_size", hiddenSize);
    config.put("intermediate_size", intermediateSize);
    config.put("max_position_embeddings", context);
    config.put("num_attention_heads", heads);
    config.put("num_hidden_layers", layers);
    config.put("num_key_value_heads", kvHeads);
    config.put("rms_norm_eps", 1e-5);
    config.put("rope_theta", 10000.0);
    config.put("tie_word_embeddings", tied);
    config.put("torch_dtype", "bfloat16");
    config.put("vocab_size", vocabulary);
    config.put("bos_token_id", 1);
    config.put("eos_token_id", 2);
    return config;
  }

  private List<Weight> weights() {
    List<Weight> all = new ArrayList<>();
    all.add(new Weight("model.embed_tokens.weight", vocabulary, hiddenSize));
    for (int i = 0; i < layers; i++) {
      String layer = "model.layers." + i + ".";
      all.add(new Weight(layer + "input_layernorm.weight", 1, hiddenSize));
      all.add(new Weight(layer + "self_attn.q_proj.weight", hiddenSize, hiddenSize));
      all.add(new Weight(layer + "self_attn.k_proj.weight", kvWidth(), hiddenSize));
      all.add(new Weight(layer + "self_attn.v_proj.weight", kvWidth(), hiddenSize));
      all.add(new Weight(layer + "self_attn.o_proj.weight", hiddenSize, hiddenSize));
      all.add(new Weight(layer + "post_attention_layernorm.weight", 1, hiddenSize));
      all.add(new Weight(layer + "mlp.gate_proj.weight", intermediateSize, hiddenSize));
      all.add(new Weight(layer + "mlp.up_proj.weight", intermediateSize, hiddenSize));
      all.add(new Weight(layer + "mlp.down_proj.weight", hiddenSize, intermediateSize));
    }
    all.add(new Weight("model.norm.weight", 1, hiddenSize));
    if (!tied) {
      all.add(new Weight("lm_head.weight", vocabulary, hiddenSize));
    }
    return all;
  }

  private static void ones(ByteBuffer out, int from, int to) {
    for (int i = from; i < to; i++) {
      out.putShort(bfloat16(1));
    }
  }

  /** Uniform numbers of variance 1 / columns, so that activations keep their size from layer to layer. */
  private static SafetensorsWriter.Source random(Weight weight) {
    SplittableRandom random = new SplittableRandom(SEED + weight.name().hashCode());
    float scale = (float) Math.sqrt(3.0 / weight.columns()) / Short.MAX_VALUE;
    return (out, from, to) -> {
      long bits = 0;
      for (int i = from; i < to; i++) {
        // Four elements of 16 random bits from each number.
        bits = (i - from) % 4 == 0 ? random.nextLong() : bits >>> 16;
        out.putShort(bfloat16((short) bits * scale));
      }
    };
  }

  private static short bfloat16(float value) {
    return (short) (Float.floatToRawIntBits(value) >>> 16);
  }
}
