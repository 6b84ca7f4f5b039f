package dev.lanes.model;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.model.ModelWeights.Linear;
import java.util.List;

/** What a matrix says about the activations it is multiplied with; the same for the plan of a matrix and the loaded one. */
interface LinearInput {
  DType dtype();

  /** What int8 weights have their inputs quantized with; 0 for each token's own scale, and for other weights. */
  float inputScale();

  /**
   * The type in which the op that computes a layer's input writes it, where the layer is its only reader. It is the one that the layer
   * would round it to in any case, so no bit of a result depends on it.
   */
  static DType form(Linear<? extends LinearInput, ?> layer, ComputeChoice compute) {
    return comesQuantized(layer) ? DType.S8 : floatForm(layer, compute);
  }

  /** {@link #form} of a single matrix for an op that does not quantize. */
  static DType floatForm(LinearInput matrix, ComputeChoice compute) {
    return compute.bf16Rows() && compute.of(matrix.dtype()) == Compute.BF16 ? DType.BF16 : DType.F32;
  }

  /** {@link #form} for an op that does not quantize. */
  static DType floatForm(Linear<? extends LinearInput, ?> layer, ComputeChoice compute) {
    for (LinearInput matrix : layer.weights()) {
      if (floatForm(matrix, compute) == DType.F32) {
        return DType.F32;
      }
    }
    return DType.BF16;
  }

  /**
   * Whether the op that computes a layer's input makes it int8: where all its matrices are int8 and agree on the scale. Otherwise those
   * that are int8 quantize the float input while they read it, to the same numbers.
   */
  private static boolean comesQuantized(Linear<? extends LinearInput, ?> layer) {
    List<? extends LinearInput> matrices = layer.weights();
    float scale = matrices.get(0).inputScale();
    for (LinearInput matrix : matrices) {
      if (matrix.dtype() != DType.S8 || matrix.inputScale() != scale) {
        return false;
      }
    }
    return true;
  }
}
