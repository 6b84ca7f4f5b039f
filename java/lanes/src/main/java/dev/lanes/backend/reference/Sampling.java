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
      float[] row = clean(copy(logits, r));
      Integer[] order = order(row, row.length);
      LogSum sum = new LogSum(row);
      for (int i = 0; i < topK; i++) {
        op.token()[r * topK + i] = order[i];
        op.logProbability()[r * topK + i] = sum.logProbability(row[order[i]]);
      }
    }
  }

  static void sample(Op.Sample op) {
    ReferenceTensor logits = (ReferenceTensor) op.logits();
    for (int r = 0; r < logits.rows(); r++) {
      float[] row = clean(copy(logits, r));
      op.token()[r] = choose(row, op.rows()[r]);
      if (op.logProbability() != null) {
        op.logProbability()[r] = new LogSum(row).logProbability(row[op.token()[r]]);
      }
    }
  }

  /** The steps that native/src/ops/sample.h lists, in its order. */
  private static int choose(float[] logits, SampleRow row) {
    float[] adjusted = logits.clone();
    for (int id : row.seen()) {
      // From the untouched logit: once a token.
      adjusted[id] = logits[id] > 0 ? logits[id] / row.repetitionPenalty() : logits[id] * row.repetitionPenalty();
    }
    clean(adjusted);
    int best = 0;
    for (int i = 1; i < adjusted.length; i++) {
      best = adjusted[i] > adjusted[best] ? i : best;
    }
    if (row.temperature() == 0 || adjusted[best] == Float.NEGATIVE_INFINITY) {
      return best;
    }
    float[] weights = weights(adjusted, adjusted[best], row.temperature());
    Integer[] order = order(adjusted, adjusted.length);
    int count = row.topK() == 0 ? order.length : Math.min(row.topK(), order.length);
    if (row.topP() < 1) {
      count = nucleus(weights, order, count, row.topP());
    }
    int[] kept = Arrays.stream(order, 0, count).mapToInt(id -> id).filter(id -> weights[id] >= row.minP()).sorted().toArray();
    return draw(weights, kept, Philox.uniform(row.seed(), row.counter()));
  }

  private static float[] weights(float[] logits, float largest, float temperature) {
    float[] weights = new float[logits.length];
    for (int i = 0; i < logits.length; i++) {
      if (largest == Float.POSITIVE_INFINITY) {
        weights[i] = logits[i] == largest ? 1 : 0;
      } else {
        weights[i] = (float) Math.exp(((double) logits[i] - largest) / temperature);
      }
    }
    return weights;
  }

  /** Length of the shortest prefix of the ranking whose weights sum to at least {@code topP} times those of its first {@code count}. */
  private static int nucleus(float[] weights, Integer[] order, int count, float topP) {
    double total = 0;
    for (int i = 0; i < count; i++) {
      total += weights[order[i]];
    }
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += weights[order[i]];
      if (sum >= topP * total) {
        return i + 1;
      }
    }
    return count;
  }

  /** The first of {@code ids}, which ascend, at which the sum of weights exceeds {@code uniform} times their total. */
  private static int draw(float[] weights, int[] ids, double uniform) {
    double total = 0;
    for (int id : ids) {
      total += weights[id];
    }
    double sum = 0;
    int last = ids[0];
    for (int id : ids) {
      if (weights[id] > 0) {
        last = id;
      }
      sum += weights[id];
      if (sum > uniform * total) {
        return last;
      }
    }
    return last;
  }

  private static float[] copy(ReferenceTensor logits, int row) {
    return Arrays.copyOfRange(logits.data(), logits.row(row), logits.row(row) + logits.columns());
  }

  /** NaN counts as the smallest. */
  private static float[] clean(float[] logits) {
    for (int i = 0; i < logits.length; i++) {
      if (logits[i] != logits[i]) {
        logits[i] = Float.NEGATIVE_INFINITY;
      }
    }
    return logits;
  }

  /** Indices, largest value first; of equal values, or NaN, the lower index first. */
  private static Integer[] order(float[] values, int count) {
    Integer[] order = new Integer[count];
    Arrays.setAll(order, i -> i);
    // Adding zero makes -0 and 0 equal.
    Arrays.sort(order, Comparator.comparingDouble(i -> values[i] != values[i] ? Double.POSITIVE_INFINITY : 0.0 - values[i]));
    return order;
  }

  /** log(sum of e^x), as maximum and the rest; the values hold no NaN. */
  private static final class LogSum {
    private final float largest;
    private final double rest;

    LogSum(float[] values) {
      float maximum = Float.NEGATIVE_INFINITY;
      for (float value : values) {
        maximum = Math.max(maximum, value);
      }
      double sum = 0;
      for (float value : values) {
        sum += value == maximum ? 1 : Math.exp((double) value - maximum);
      }
      largest = maximum;
      rest = Math.log(sum);
    }

    float logProbability(float value) {
      if (value == Float.NEGATIVE_INFINITY) {
        return value;
      }
      return (float) ((value == largest ? 0 : (double) value - largest) - rest);
    }
  }
}
