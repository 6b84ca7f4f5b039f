package dev.lanes;

/** Pooling of hidden states. Sums are made in float64 and in order of the tokens. */
final class Pool {
  private Pool() {}

  /**
   * One vector [hidden].
   *
   * @param hidden [tokens][hidden], at least one token
   */
  static float[] apply(float[][] hidden, EmbeddingOptions options) {
    double[] pooled = new double[hidden[0].length];
    switch (options.pooling()) {
      case MEAN -> {
        for (float[] token : hidden) {
          for (int i = 0; i < pooled.length; i++) {
            pooled[i] += token[i];
          }
        }
        for (int i = 0; i < pooled.length; i++) {
          pooled[i] /= hidden.length;
        }
      }
      case CLS -> copy(hidden[0], pooled);
      case LAST -> copy(hidden[hidden.length - 1], pooled);
    }
    double length = 1;
    if (options.normalize()) {
      double squares = 0;
      for (double value : pooled) {
        squares += value * value;
      }
      length = squares > 0 ? Math.sqrt(squares) : 1;
    }
    float[] result = new float[pooled.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (float) (pooled[i] / length);
    }
    return result;
  }

  private static void copy(float[] source, double[] destination) {
    for (int i = 0; i < destination.length; i++) {
      destination[i] = source[i];
    }
  }
}
