package dev.lanes;

import dev.lanes.quantize.CheckpointQuantizer;
import dev.lanes.quantize.QuantizationReport;
import dev.lanes.quantize.QuantizeOptions;
import java.nio.file.Path;
import java.util.Objects;

/** Where everything starts: loads models. */
public final class Lanes {
  private Lanes() {}

  /**
   * Loads a model from a Hugging Face directory with {@link LoadOptions#defaults()}.
   *
   * @throws dev.lanes.error.InvalidModelException if a file is missing or damaged; {@link dev.lanes.error.UnsupportedModelException} if
   *     Lanes lacks what it asks for
   * @throws dev.lanes.error.InsufficientMemoryException if weights and cache do not fit into free memory; nothing was allocated then
   */
  public static LanguageModel load(Path directory) {
    return load(directory, LoadOptions.defaults());
  }

  /** Like {@link #load(Path)}, with options. */
  public static LanguageModel load(Path directory, LoadOptions options) {
    return new ModelLoader(directory, options).load();
  }

  /** The memory that {@link #load(Path, LoadOptions)} would take; reads headers only. */
  public static MemoryFootprint footprint(Path directory, LoadOptions options) {
    return new ModelLoader(directory, options).footprint();
  }

  /**
   * Writes a W8A8 checkpoint (int8 weights and activations, the layout of compressed-tensors) of a float model.
   *
   * @param source Hugging Face directory of the float model
   * @param target directory to write; see {@link QuantizeOptions#overwrite()}
   * @throws dev.lanes.error.InvalidModelException if a file is damaged; {@link dev.lanes.error.UnsupportedModelException} if the model is
   *     of a kind that cannot be quantized, or is already
   * @throws IllegalArgumentException if an option contradicts the model or the file system
   * @throws java.io.UncheckedIOException if writing fails; nothing is left then
   */
  public static QuantizationReport quantize(Path source, Path target, QuantizeOptions options) {
    Objects.requireNonNull(source, "source is null");
    Objects.requireNonNull(target, "target is null");
    return CheckpointQuantizer.run(source, target, Objects.requireNonNull(options, "options is null"));
  }
}
