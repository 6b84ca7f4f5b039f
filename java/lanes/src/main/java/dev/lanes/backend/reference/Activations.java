package dev.lanes.backend.reference;

import dev.lanes.backend.Activation;

/** Activations in double precision. */
final class Activations {
  private static final double TANH_SCALE = Math.sqrt(2 / Math.PI);

  private Activations() {}

  static double apply(Activation activation, double x) {
    return switch (activation) {
      case NONE -> x;
      case SILU -> x / (1 + Math.exp(-x));
      case GELU -> x * normalDistribution(x);
      case GELU_TANH -> 0.5 * x * (1 + Math.tanh(TANH_SCALE * (x + 0.044715 * x * x * x)));
      case RELU -> x < 0 ? 0 : x;
      case TANH -> Math.tanh(x);
    };
  }

  /**
   * Phi(x), the distribution function of the standard normal: near zero by its series 1/2 + phi(x) (x + x^3/3 + x^5/(3*5) + …),
   * in the tails by the continued fraction phi(x) / (x + 1/(x + 2/(x + 3/…))) of Laplace.
   */
  static double normalDistribution(double x) {
    double magnitude = Math.abs(x);
    double density = Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
    if (magnitude < 4) {
      double term = x;
      double sum = x;
      for (int i = 3; Math.abs(term) > 1e-18 * Math.abs(sum); i += 2) {
        term *= x * x / i;
        sum += term;
      }
      return 0.5 + density * sum;
    }
    if (magnitude > 40) {
      return x > 0 ? 1 : 0;
    }
    if (x != x) {
      return x;
    }
    double fraction = magnitude;
    for (int i = 60; i >= 1; i--) {
      fraction = magnitude + i / fraction;
    }
    double tail = density / fraction;
    return x > 0 ? 1 - tail : tail;
  }
}
