package dev.lanes.quantize;

import dev.lanes.format.Checkpoint;
import dev.lanes.format.DType;
import dev.lanes.format.FloatTensors;
import dev.lanes.format.Json;
import dev.lanes.format.QuantizedConfig;
import dev.lanes.format.SafetensorsWriter;
import dev.lanes.format.TensorInfo;
import dev.lanes.model.LinearGroup;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Writes the quantized checkpoint: int8 matrices with their scales, float tensors with the activations' scales in them, everything else as
 * it was. Tensors are written as they are read; files keep their names.
 */
final class CheckpointRewriter {
  private static final String WEIGHT = ".weight";
  private static final String BIAS = ".bias";
  /** Weights in any format, and what describes those of the float model. */
  private static final Pattern NOT_COPIED = Pattern.compile(
      ".*\\.(safetensors|safetensors\\.index\\.json|bin|bin\\.index\\.json|pt|pth|ckpt|h5|msgpack|onnx|gguf)|config\\.json|\\..*");

  private final Path directory;
  private final Checkpoint checkpoint;
  private final Spool spool;
  private final Map<String, Spool.Entry> int8 = new HashMap<>();
  /** By module: what its columns are multiplied by, and what its rows or elements are divided by. */
  private final Map<String, float[]> columnScales = new HashMap<>();
  private final Map<String, float[]> rowScales = new HashMap<>();
  private final List<String> ignored;
  private long int8Bytes;
  private long totalBytes;

  /**
   * @param groups all groups
   * @param smoothed those whose activations are divided by their scales
   * @param quantized the modules that become int8
   * @param others linear modules outside of the groups: the LM head, routers
   */
  CheckpointRewriter(Path directory, Checkpoint checkpoint, Spool spool, List<QuantizedGroup> groups, Predicate<QuantizedGroup> smoothed,
      Set<String> quantized, List<String> others) {
    this.directory = directory;
    this.checkpoint = checkpoint;
    this.spool = spool;
    this.ignored = new ArrayList<>(others);
    for (QuantizedGroup group : groups) {
      LinearGroup layers = group.group();
      List<String> modules = layers.modules();
      for (int i = 0; i < modules.size(); i++) {
        if (quantized.contains(modules.get(i))) {
          int8.put(modules.get(i), group.matrices().get(i));
        } else {
          ignored.add(modules.get(i));
        }
      }
      if (smoothed.test(group) && group.alpha() > 0) {
        rowScales.put(layers.source().module(), group.scales());
        float[] channels = group.channelScales();
        modules.forEach(module -> columnScales.put(module, channels));
        layers.readers().forEach(module -> columnScales.put(module, channels));
      }
    }
  }

  /** Bytes of int8 weights written. */
  long int8Bytes() {
    return int8Bytes;
  }

  /** Bytes of all tensors written. */
  long totalBytes() {
    return totalBytes;
  }

  /** Writes config.json, weights and, copied, the tokenizer and all else that is small. */
  void write(Path target) throws IOException {
    Map<String, List<TensorInfo>> files = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors()) {
      files.computeIfAbsent(checkpoint.fileOf(tensor.name()).getFileName().toString(), name -> new ArrayList<>()).add(tensor);
    }
    Map<String, String> fileOf = new LinkedHashMap<>();
    for (Map.Entry<String, List<TensorInfo>> file : files.entrySet()) {
      String name = files.size() == 1 ? "model.safetensors" : file.getKey();
      write(target.resolve(name), file.getValue(), name, fileOf);
    }
    if (files.size() > 1) {
      Json.write(target.resolve("model.safetensors.index.json"),
          Map.of("metadata", Map.of("total_size", totalBytes), "weight_map", fileOf));
    }
    copyOthers(target);
    QuantizedConfig.write(directory.resolve("config.json"), target.resolve("config.json"), ignored);
  }

  private void copyOthers(Path target) throws IOException {
    try (DirectoryStream<Path> all = Files.newDirectoryStream(directory, Files::isRegularFile)) {
      for (Path file : all) {
        if (!NOT_COPIED.matcher(file.getFileName().toString()).matches()) {
          Files.copy(file, target.resolve(file.getFileName().toString()));
        }
      }
    }
  }

  private void write(Path file, List<TensorInfo> tensors, String name, Map<String, String> fileOf) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    checkpoint.metadata().forEach(writer::metadata);
    for (TensorInfo tensor : tensors) {
      String module = tensor.name().endsWith(WEIGHT) ? tensor.name().substring(0, tensor.name().length() - WEIGHT.length()) : "";
      Spool.Entry entry = int8.get(module);
      if (entry == null) {
        writer.add(tensor.name(), tensor.dtype(), source(tensor, module), tensor.shape());
        totalBytes += tensor.bytes();
      } else {
        float[] scales = scales(module, entry);
        writer.add(tensor.name(), DType.I8, (out, from, to) -> spool.read(entry, from, limited(out, to - from)), tensor.shape());
        writer.add(module + ".weight_scale", scales, scales.length, 1);
        fileOf.put(module + ".weight_scale", name);
        int8Bytes += entry.bytes();
        totalBytes += entry.bytes() + (long) scales.length * Float.BYTES;
      }
      fileOf.put(tensor.name(), name);
    }
    writer.write(file);
  }

  /** A matrix whose rows are divided has other scales and the same int8 elements. */
  private float[] scales(String module, Spool.Entry entry) {
    float[] scales = entry.scales().clone();
    float[] divisors = rowScales.get(module);
    for (int row = 0; row < scales.length && divisors != null; row++) {
      scales[row] /= divisors[row];
    }
    return scales;
  }

  private SafetensorsWriter.Source source(TensorInfo tensor, String module) {
    boolean bias = tensor.name().endsWith(BIAS);
    String owner = bias ? tensor.name().substring(0, tensor.name().length() - BIAS.length()) : module;
    float[] divisors = rowScales.get(owner);
    float[] factors = bias ? null : columnScales.get(owner);
    if (divisors == null && factors == null) {
      int size = tensor.dtype().bytes();
      return (out, from, to) -> checkpoint.read(tensor, (long) from * size, limited(out, (to - from) * size));
    }
    int columns = tensor.rank() == 1 ? 1 : Math.toIntExact(tensor.dim(1));
    return (out, from, to) -> {
      float[] values = FloatTensors.read(checkpoint, tensor, from, to - from);
      for (int i = 0; i < values.length; i++) {
        int row = (from + i) / columns;
        double value = values[i];
        value = factors == null ? value : value * factors[(from + i) % columns];
        FloatTensors.put(out, tensor.dtype(), (float) (divisors == null ? value : value / divisors[row]));
      }
    };
  }

  /** The buffer, ending after so many bytes: the writer asks for no more at once. */
  private static ByteBuffer limited(ByteBuffer out, int bytes) {
    return out.limit(out.position() + bytes);
  }
}
