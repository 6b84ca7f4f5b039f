package dev.lanes;

/** Hears how far the loading of a model is. Called on the loading thread; what it throws ends the loading. */
@FunctionalInterface
public interface LoadProgress {
  /**
   * @param doneBytes bytes of the checkpoint that are loaded
   * @param totalBytes bytes of the checkpoint
   */
  void update(long doneBytes, long totalBytes);
}
