package dev.lanes.backend.reference;

import dev.lanes.backend.Op;
import dev.lanes.backend.SampleRow;
import java.util.Arrays;
import java.util.Comparator;

/** Routing of tokens to experts, log-probabilities and the choice of tokens. Arguments have been checked. NaN counts as the smallest. */
final class Sampling {
  private Sampling() {}

  static void route(Op.Route op) {
    ReferenceTensor logits = (ReferenceTensor) op.logits();
    int topK = op.topK();
    for (int t = 0; t < logits.rows(); t++) {
      float[] row = copy(logits, t);
      Integer[] order = order(row, row.length);
      double largest = row[order[0]];
      double sum = 0;
      for (int i = 0; i < (op.normalize() ? topK : row.length); i++) {
        sum += Math.exp(row[order[i]] - largest);
      }
      for (int i = 0; i < topK; i++) {
        op.expert()[t * topK + i] = order[i];
        op.weight()[t * topK + i] = (float) (Math.exp(row[order[i]] - largest) / sum);
      }
    }
  }

  static void topLogProbabilities(Op.TopLogProbabilities op) {
    ReferenceTensor logits = (ReferenceTensor) op.logits();
    int topK = op.topK();
    for (int r = 0; r < logits.rows(); r++) {
      float[] row = copy(logits, r);
      Integer[] order = order(row, row.length);
      double normaliser = logSumExp(row);
      for (int i = 0; i < topK; i++) {
        op.token()[r * topK + i] = order[i];
        op.logProbability()[r * topK + i] = (float) (row[order[i]] - normaliser);
      }
    }
  }

  static void sample(Op.Sample op) {
    ReferenceTensor logits = (ReferenceTensor) op.logits();
    for (int r = 0; r < logits.rows(); r++) {
      float[] row = copy(logits, r);
      op.token()[r] = choose(row, op.rows()[r]);
      if (op.logProbability() != null) {
        op.logProbability()[r] = (float) (row[op.token()[r]] - logSumExp(row));
      }
    }
  }

  private static int choose(float[] logits, SampleRow row) {
    float[] adjusted = logits.clone();
    if (row.repetitionPenalty() != 1) {
      for (int id : row.seen()) {
        adjusted[id] = logits[id] > 0 ? logits[id] / row.repetitionPenalty() : logits[id] * row.repetitionPenalty();
      }
    }
    Integer[] order = order(adjusted, adjusted.length);
    if (row.temperature() == 0) {
      return order[0];
    }
    int count = row.topK() == 0 ? order.length : Math.min(row.topK(), order.length);
    double[] weights = new double[count];
    double total = 0;
    for (int i = 0; i < count; i++) {
      weights[i] = Math.exp((adjusted[order[i]] - (double) adjusted[order[0]]) / row.temperature());
      total += weights[i];
    }
    if (row.topP() < 1) {
      double reached = 0;
      int kept = 0;
      while (kept < count && reached < row.topP() * total) {
        reached += weights[kept++];
      }
      count = kept;
    }
    while (count > 1 && weights[count - 1] < row.minP() * weights[0]) {
      count--;
    }
    double kept = 0;
    for (int i = 0; i < count; i++) {
      kept += weights[i];
    }
    double target = Philox.uniform(row.seed(), row.counter()) * kept;
    double reached = 0;
    for (int i = 0; i < count; i++) {
      reached += weights[i];
      if (target < reached) {
        return order[i];
      }
    }
    return order[count - 1];
  }

  private static float[] copy(ReferenceTensor logits, int row) {
    return Arrays.copyOfRange(logits.data(), logits.row(row), logits.row(row) + logits.columns());
  }

  /** Indices, largest value first; of equal values the lower index first. */
  private static Integer[] order(float[] values, int count) {
    Integer[] order = new Integer[count];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, Comparator.comparingDouble(i -> -rank(values[i])));
    return order;
  }

  private static double rank(float value) {
    return value != value ? Double.NEGATIVE_INFINITY : value;
  }

  private static double logSumExp(float[] values) {
    double largest = Double.NEGATIVE_INFINITY;
    for (float value : values) {
      largest = Math.max(largest, rank(value));
    }
    double sum = 0;
    for (float value : values) {
      sum += Math.exp(rank(value) - largest);
    }
    return largest + Math.log(sum);
  }
}
