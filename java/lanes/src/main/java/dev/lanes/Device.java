package dev.lanes;

/** Where a model runs. */
public enum Device {
  /**
   * A GPU where there is one that Lanes can use and the model fits into its memory; else the native CPU kernels; or {@link #REFERENCE} where
   * no native library fits this machine. What was chosen and why stands in the model's info.
   */
  AUTO,
  /** An NVIDIA GPU; loading fails where there is none, or where the native library has no kernels for it. */
  CUDA,
  /** The native CPU kernels; loading fails where no native library fits this machine. */
  CPU,
  /** Plain Java loops: slow, for checking. */
  REFERENCE
}
