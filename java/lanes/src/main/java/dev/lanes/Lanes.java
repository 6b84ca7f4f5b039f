package dev.lanes;

import java.nio.file.Path;

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
}
