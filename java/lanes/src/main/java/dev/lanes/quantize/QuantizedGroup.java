package dev.lanes.quantize;

import dev.lanes.model.LinearGroup;
import java.util.List;

/**
 * A group of linear layers, quantized.
 *
 * @param scales [elements of the group's source]: what the activations are divided by; all 1 without smoothing
 * @param alpha the exponent of smoothing; 0 for none
 * @param plainError mean squared error of the outputs over calibration rows, relative to their mean square, without smoothing and
 *     rounded to nearest; NaN without calibration
 * @param error the same as quantized
 * @param matrices for each of the group's modules, in order
 */
record QuantizedGroup(LinearGroup group, float[] scales, double alpha, double plainError, double error, List<Spool.Entry> matrices) {
  /** [columns]: what each channel of the activations is divided by. */
  float[] channelScales() {
    return Smoothing.byChannel(group.source(), scales);
  }

  /** Number of weights. */
  long parameters() {
    return matrices.stream().mapToLong(Spool.Entry::bytes).sum();
  }
}
