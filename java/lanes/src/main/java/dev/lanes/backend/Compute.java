package dev.lanes.backend;

/** How a linear layer multiplies. */
public enum Compute {
  /** float32 activations; narrower weights are widened in registers. The same numbers as float32 arithmetic on the stored weights. */
  EXACT,
  /** bfloat16 weights only: activations are rounded to bfloat16, products summed in float32. Faster where the CPU multiplies bfloat16. */
  BF16,
  /**
   * {@link DType#S8} weights only, and the only one for them: activations are int8 with a scale for each row (see {@link Quantizer}),
   * products are summed as integers, exactly, and the scales multiply the sum.
   */
  INT8,
  /**
   * float16 weights only: a GPU scales each row of activations by a power of two, so that none is too large, rounds it to float16 and sums
   * products in float32. On a CPU the same as {@link #EXACT}.
   */
  F16
}
