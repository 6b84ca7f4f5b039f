package dev.lanes.backend;

import java.util.Map;

/**
 * What a backend is and why it was chosen.
 *
 * @param name {@code cuda}, {@code cpu} or {@code reference}
 * @param device what computes, by name: {@code cuda:0 NVIDIA H200}, or the CPU's own name; may be empty
 * @param isa {@code avx512}, {@code avx2}, {@code neon}, {@code reference} (the native plain loops) or {@code java}; of a GPU the
 *     generation whose kernels run, {@code sm_90a}, or {@code portable} for those of every GPU
 * @param threads threads that share an op; 1 where a GPU does the work
 * @param bf16Dot whether {@link Compute#BF16} multiplies in bfloat16
 * @param library which native library was loaded: the classifier of its jar, or its path; empty for the Java reference
 * @param why one line: why this backend and no other
 * @param implementations op name to the implementation it uses
 */
public record BackendInfo(String name, String device, String isa, int threads, boolean bf16Dot, String library, String why,
    Map<String, String> implementations) {
  public BackendInfo {
    implementations = Map.copyOf(implementations);
  }

  /** Whether weights, keys and values lie in a GPU's memory. */
  public boolean isGpu() {
    return name.equals("cuda");
  }

  /**
   * Whether rows that only {@link Compute#BF16} products read are better kept as bfloat16: half the bytes between a GPU's ops. A CPU has
   * them in its caches, rounds while it reads, and is no faster for them.
   */
  public boolean keepsBf16Rows() {
    return isGpu() && bf16Dot;
  }

  /** Where weights, keys and values lie, in words: {@code memory}, or {@code memory of cuda:0 NVIDIA H200}. */
  public String memory() {
    return isGpu() ? "memory of " + device : "memory";
  }
}
