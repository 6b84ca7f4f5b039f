package dev.lanes.model;

import dev.lanes.backend.DType;
import dev.lanes.model.ModelWeights.Linear;
import java.util.List;

/** What a matrix says about the activations it is multiplied with; the same for the plan of a matrix and the loaded one. */
interface LinearInput {
  DType dtype();

  /** What int8 weights have their inputs quantized with; 0 for each token's own scale, and for other weights. */
  float inputScale();

  /**
   * Whether the op that computes a layer's input makes it int8: where all its matrices are int8 and agree on the scale. Otherwise those
   * that are int8 quantize the float input while they read it, to the same numbers.
   */
  static boolean comesQuantized(Linear<? extends LinearInput, ?> layer) {
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
