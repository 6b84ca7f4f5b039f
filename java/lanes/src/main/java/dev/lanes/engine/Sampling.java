package dev.lanes.engine;

/**
 * How tokens are chosen; see {@link dev.lanes.backend.SampleRow}.
 *
 * @param topLogProbabilities how many of the likeliest tokens to report, 0 for the chosen one only, -1 for none
 */
public record Sampling(float temperature, int topK, float topP, float minP, float repetitionPenalty, long seed,
    int topLogProbabilities) {
  /** The likeliest token, nothing reported. */
  public static final Sampling GREEDY = new Sampling(0, 0, 1, 0, 1, 0, -1);
}
