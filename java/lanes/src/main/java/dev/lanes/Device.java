package dev.lanes;

/** Where a model runs. */
public enum Device {
  /** The native CPU kernels, or {@link #REFERENCE} where no native library fits this machine (said once, in the model's info). */
  AUTO,
  /** The native CPU kernels; loading fails where no native library fits this machine. */
  CPU,
  /** Plain Java loops: slow, for checking. */
  REFERENCE
}
