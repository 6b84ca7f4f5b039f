package dev.lanes.model;

import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import java.util.Optional;

/**
 * How a model multiplies what is stored in a type: the weights of linear layers and, in attention, keys and values.
 *
 * @param bf16 {@link Compute#EXACT} or {@link Compute#BF16}
 * @param f16 {@link Compute#EXACT} or {@link Compute#F16}
 * @param bf16Rows whether rows that only BF16 products read are kept as bfloat16; see {@link BackendInfo#keepsBf16Rows}
 */
public record ComputeChoice(Compute bf16, Compute f16, boolean bf16Rows) {
  /**
   * What was asked for where it is made for the type, and EXACT elsewhere. When nothing is asked for, a GPU multiplies each 16-bit type in
   * itself: EXACT is not for its tensor cores, and some thirty times slower. A CPU then multiplies all exactly.
   */
  public static ComputeChoice of(Optional<Compute> asked, BackendInfo backend) {
    boolean own = asked.isEmpty() && backend.isGpu();
    boolean bf16 = own || asked.equals(Optional.of(Compute.BF16));
    boolean f16 = own || asked.equals(Optional.of(Compute.F16));
    return new ComputeChoice(bf16 ? Compute.BF16 : Compute.EXACT, f16 ? Compute.F16 : Compute.EXACT, bf16 && backend.keepsBf16Rows());
  }

  /** For elements of a type. */
  public Compute of(DType stored) {
    return switch (stored) {
      case F32 -> Compute.EXACT;
      case BF16 -> bf16;
      case F16 -> f16;
      case S8 -> Compute.INT8;
    };
  }
}
