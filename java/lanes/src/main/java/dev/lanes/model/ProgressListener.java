package dev.lanes.model;

/** Hears how far loading is. May throw to abort it; everything allocated so far is then freed. */
@FunctionalInterface
public interface ProgressListener {
  /** Hears nothing. */
  ProgressListener NONE = (done, total, tensor) -> {};

  /**
   * @param doneBytes bytes read so far
   * @param totalBytes bytes to read in all
   * @param tensor name of the tensor that was just read from
   */
  void progress(long doneBytes, long totalBytes, String tensor);
}
