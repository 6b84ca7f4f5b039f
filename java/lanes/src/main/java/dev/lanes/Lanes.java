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

  /**
   * Loads a model from where a text says: a directory, or {@code classpath:FOLDER} for one that a jar holds, such as
   * {@code classpath:dev/lanes/tiny} with {@code dev.lanes:lanes-tiny-model}.
   *
   * @throws java.io.UncheckedIOException if a model of the class path cannot be copied to the cache; see {@link #directory}
   */
  public static LanguageModel load(String location) {
    return load(location, LoadOptions.defaults());
  }

  /** Like {@link #load(String)}, with options. */
  public static LanguageModel load(String location, LoadOptions options) {
    return load(directory(location), options);
  }

  /**
   * The directory that {@link #load(String)} loads from. The files of a model on the class path (config.json, generation_config.json,
   * tokenizer.json, tokenizer_config.json, chat_template.jinja, model.safetensors) are copied into a folder named after their content
   * below the system property {@code dev.lanes.cache}, by default {@code ~/.cache/lanes}, unless they are there already.
   *
   * @throws dev.lanes.error.InvalidModelException if there is no such folder on the class path
   */
  public static Path directory(String location) {
    return ClasspathModel.directory(Objects.requireNonNull(location, "location is null"));
  }

  /** Whether a location names a model on the class path. */
  public static boolean isOnClassPath(String location) {
    Objects.requireNonNull(location, "location is null");
    return location.startsWith(ClasspathModel.PREFIX) && ClasspathModel.find(location.substring(ClasspathModel.PREFIX.length())).isPresent();
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
