package dev.lanes;

/**
 * How well a model predicts texts: the exponential of the mean negative log-likelihood of their tokens, each given those before it in
 * its window. Measurements of several texts are added up with {@link #plus}.
 *
 * @param tokens tokens scored; the first of a text has nothing before it and does not count
 * @param windows windows they were scored in
 * @param evaluatedTokens tokens that went through the model, those that served as context again included
 * @param sum sum of the negative log-likelihoods, in nats
 * @param sumOfSquares sum of their squares
 * @param seconds time taken
 */
public record Perplexity(long tokens, long windows, long evaluatedTokens, double sum, double sumOfSquares, double seconds) {
  /** Nothing measured yet. */
  public static final Perplexity NONE = new Perplexity(0, 0, 0, 0, 0, 0);

  /** The perplexity; NaN when no token was scored. */
  public double perplexity() {
    return Math.exp(meanNegativeLogLikelihood());
  }

  /** Nats a token; NaN when no token was scored. */
  public double meanNegativeLogLikelihood() {
    return sum / tokens;
  }

  /**
   * Standard error of {@link #perplexity()}: that of the mean, as if tokens were independent, times the perplexity. NaN below two tokens.
   */
  public double standardError() {
    double mean = meanNegativeLogLikelihood();
    double variance = (sumOfSquares / tokens - mean * mean) / (tokens - 1);
    return tokens < 2 ? Double.NaN : Math.sqrt(Math.max(0, variance)) * perplexity();
  }

  /** Tokens that went through the model a second; 0 when no time has passed. */
  public double tokensPerSecond() {
    return seconds > 0 ? evaluatedTokens / seconds : 0;
  }

  /** The figures of two measurements together. */
  public Perplexity plus(Perplexity other) {
    return new Perplexity(tokens + other.tokens, windows + other.windows, evaluatedTokens + other.evaluatedTokens, sum + other.sum,
        sumOfSquares + other.sumOfSquares, seconds + other.seconds);
  }
}
