package dev.lanes.engine;

/**
 * A request for logits, log-probabilities or hidden states of the positions of a sequence. The arrays are filled; one that is null is
 * not wanted.
 *
 * @param tokens [tokens]
 * @param logits [tokens][vocabulary] or null
 * @param hidden [tokens][hidden] after the final norm, or null
 * @param layers [layers + 1][tokens][hidden] or null
 * @param scores or null
 */
public record ForwardRequest(int[] tokens, float[][] logits, float[][] hidden, float[][][] layers, Scores scores) {
  public ForwardRequest(int[] tokens, float[][] logits, float[][] hidden, float[][][] layers) {
    this(tokens, logits, hidden, layers, null);
  }

  /**
   * Log-probabilities of given tokens. Their logits are computed a few rows at a time and never kept.
   *
   * @param from first position that counts; those before it are context only
   * @param next [tokens]: the token whose log-probability after position i is wanted
   * @param logProbability [tokens], filled from {@code from} on
   */
  public record Scores(int from, int[] next, float[] logProbability) {}
}
