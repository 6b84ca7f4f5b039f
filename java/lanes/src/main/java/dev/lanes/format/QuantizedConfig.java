package dev.lanes.format;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Writes the config.json of a W8A8 checkpoint: that of the float model, all fields kept, and {@code quantization_config}. */
public final class QuantizedConfig {
  private static final long MAX_BYTES = 16 << 20;

  private QuantizedConfig() {}

  /**
   * Writes it in the layout of compressed-tensors, format {@code int-quantized}: a scale for each output feature, inputs quantized for
   * each token.
   *
   * @param source config.json of the float model
   * @param target the file to write
   * @param ignore full names of the linear modules that stay float
   */
  public static void write(Path source, Path target, List<String> ignore) throws IOException {
    ObjectNode config = Json.readObject(source, MAX_BYTES);
    ObjectNode quantization = config.putObject("quantization_config");
    quantization.put("quant_method", "compressed-tensors").put("format", "int-quantized").put("quantization_status", "compressed");
    ignore.forEach(quantization.putArray("ignore")::add);
    ObjectNode group = quantization.putObject("config_groups").putObject("group_0");
    group.putArray("targets").add("Linear");
    numbers(group.putObject("weights")).put("strategy", "channel").put("dynamic", false).putNull("group_size");
    numbers(group.putObject("input_activations")).put("strategy", "token").put("dynamic", true).putNull("group_size");
    group.putNull("output_activations");
    quantization.putNull("kv_cache_scheme");
    Json.write(target, config);
  }

  private static ObjectNode numbers(ObjectNode node) {
    return node.put("num_bits", 8).put("type", "int").put("symmetric", true);
  }
}
