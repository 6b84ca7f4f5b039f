package dev.lanes.backend;

import java.util.Map;

/**
 * What a backend is and why it was chosen.
 *
 * @param name {@code cpu} or {@code reference}
 * @param isa {@code avx512}, {@code avx2}, {@code neon}, {@code reference} (the native plain loops) or {@code java}
 * @param threads threads that share an op
 * @param bf16Dot whether {@link Compute#BF16} runs on bfloat16 dot instructions
 * @param why one line: why this backend and no other
 * @param implementations op name to the implementation it uses
 */
public record BackendInfo(String name, String isa, int threads, boolean bf16Dot, String why, Map<String, String> implementations) {
  public BackendInfo {
    implementations = Map.copyOf(implementations);
  }
}
