package dev.lanes.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Quantizer;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.DType;
import dev.lanes.format.TensorInfo;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;

/** Model directories made by tests: written from scratch, or taken from another and changed. */
final class ModelFiles {
  static final ObjectMapper JSON = new ObjectMapper();

  /** A tensor as a file has it. */
  record Stored(DType dtype, long[] shape, byte[] bytes) {
    static Stored of(float[] values, DType dtype, long... shape) {
      ByteBuffer buffer = ByteBuffer.allocate(values.length * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
      for (float value : values) {
        switch (dtype) {
          case F32 -> buffer.putFloat(value);
          case BF16 -> buffer.putShort(FloatFormats.toBf16(value));
          case F16 -> buffer.putShort(FloatFormats.toF16(value));
          case F64 -> buffer.putDouble(value);
          default -> throw new IllegalArgumentException(dtype.toString());
        }
      }
      return new Stored(dtype, shape, buffer.array());
    }

    static Stored of(float[] values, long... shape) {
      return of(values, DType.F32, shape);
    }

    static Stored random(Random random, long... shape) {
      int count = 1;
      for (long size : shape) {
        count *= (int) size;
      }
      float[] values = new float[count];
      for (int i = 0; i < count; i++) {
        values[i] = (float) random.nextGaussian() / 4;
      }
      return of(values, shape);
    }

    /** The elements of a float32 or bfloat16 tensor. */
    float[] floats() {
      if (dtype == DType.BF16) {
        float[] values = new float[bytes.length / Short.BYTES];
        ByteBuffer source = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < values.length; i++) {
          values[i] = FloatFormats.fromBf16(source.getShort(i * Short.BYTES));
        }
        return values;
      }
      float[] values = new float[bytes.length / Float.BYTES];
      ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
      return values;
    }
  }

  final Map<String, Stored> tensors = new LinkedHashMap<>();
  final ObjectNode config;

  ModelFiles(ObjectNode config) {
    this.config = config;
  }

  /** Tensors and configuration of another model. */
  static ModelFiles copyOf(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      ModelFiles files = new ModelFiles((ObjectNode) JSON.readTree(directory.resolve("config.json").toFile()));
      for (TensorInfo tensor : checkpoint.tensors()) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.bytes()));
        checkpoint.read(tensor, 0, bytes);
        files.tensors.put(tensor.name(), new Stored(tensor.dtype(), tensor.shape(), bytes.array()));
      }
      return files;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A Llama of one or more layers with random weights. */
  static ModelFiles randomLlama(Random random, int layers) {
    ObjectNode config = JSON.createObjectNode();
    config.putArray("architectures").add("LlamaForCausalLM");
    config.put("model_type", "llama").put("hidden_size", 32).put("intermediate_size", 48).put("num_hidden_layers", layers)
        .put("num_attention_heads", 4).put("num_key_value_heads", 2).put("vocab_size", 50).put("max_position_embeddings", 512)
        .put("rms_norm_eps", 1e-5).put("rope_theta", 10000.0).put("hidden_act", "silu").put("tie_word_embeddings", false);
    ModelFiles files = new ModelFiles(config);
    files.tensors.put("model.embed_tokens.weight", Stored.random(random, 50, 32));
    for (int i = 0; i < layers; i++) {
      String layer = "model.layers." + i + ".";
      files.tensors.put(layer + "input_layernorm.weight", Stored.random(random, 32));
      files.tensors.put(layer + "self_attn.q_proj.weight", Stored.random(random, 32, 32));
      files.tensors.put(layer + "self_attn.k_proj.weight", Stored.random(random, 16, 32));
      files.tensors.put(layer + "self_attn.v_proj.weight", Stored.random(random, 16, 32));
      files.tensors.put(layer + "self_attn.o_proj.weight", Stored.random(random, 32, 32));
      files.tensors.put(layer + "post_attention_layernorm.weight", Stored.random(random, 32));
      files.tensors.put(layer + "mlp.gate_proj.weight", Stored.random(random, 48, 32));
      files.tensors.put(layer + "mlp.up_proj.weight", Stored.random(random, 48, 32));
      files.tensors.put(layer + "mlp.down_proj.weight", Stored.random(random, 32, 48));
    }
    files.tensors.put("model.norm.weight", Stored.random(random, 32));
    files.tensors.put("lm_head.weight", Stored.random(random, 50, 32));
    return files;
  }

  /**
   * Makes the projections of a Llama-like model int8 with a scale a row, as compressed-tensors writes them: all that {@code ignored}
   * does not name.
   */
  ModelFiles quantize(String... ignored) {
    Set<String> ignore = Set.of(ignored);
    for (String name : List.copyOf(tensors.keySet())) {
      String module = name.replaceFirst("\\.weight$", "");
      if (name.matches(".*layers.*(_proj|w[123])\\.weight") && !ignore.contains(module)) {
        Stored stored = tensors.get(name);
        int rows = (int) stored.shape[0];
        int columns = (int) stored.shape[1];
        byte[] q = new byte[rows * columns];
        float[] scales = new float[rows];
        for (int r = 0; r < rows; r++) {
          float[] row = Arrays.copyOfRange(stored.floats(), r * columns, (r + 1) * columns);
          scales[r] = Quantizer.row(row, 0, columns, q, r * columns);
        }
        tensors.put(name, new Stored(DType.I8, stored.shape, q));
        tensors.put(module + ".weight_scale", Stored.of(scales, rows, 1));
      }
    }
    ObjectNode quantization = config.putObject("quantization_config").put("quant_method", "compressed-tensors")
        .put("format", "int-quantized");
    ObjectNode group = quantization.putObject("config_groups").putObject("group_0");
    group.putArray("targets").add("Linear");
    group.putObject("weights").put("num_bits", 8).put("strategy", "channel");
    group.putObject("input_activations").put("num_bits", 8).put("strategy", "token").put("dynamic", true);
    ignore.forEach(quantization.putArray("ignore").add("lm_head").add("re:.*gate$")::add);
    return this;
  }

  ModelFiles change(Consumer<ModelFiles> change) {
    change.accept(this);
    return this;
  }

  /** Writes config.json and model.safetensors. */
  Path write(Path directory) {
    try {
      Files.createDirectories(directory);
      JSON.writeValue(directory.resolve("config.json").toFile(), config);
      ObjectNode header = JSON.createObjectNode();
      long offset = 0;
      for (Map.Entry<String, Stored> entry : tensors.entrySet()) {
        Stored tensor = entry.getValue();
        ObjectNode info = header.putObject(entry.getKey());
        info.put("dtype", tensor.dtype.name());
        var shape = info.putArray("shape");
        for (long size : tensor.shape) {
          shape.add(size);
        }
        info.putArray("data_offsets").add(offset).add(offset + tensor.bytes.length);
        offset += tensor.bytes.length;
      }
      byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
      try (var out = Files.newOutputStream(directory.resolve("model.safetensors"))) {
        out.write(ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).array());
        out.write(text);
        for (Stored tensor : tensors.values()) {
          out.write(tensor.bytes);
        }
      }
      return directory;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
