package dev.lanes.backend;

/**
 * How one row of logits becomes a token. Order of the steps: repetition penalty, temperature, top-k, top-p, min-p, draw.
 *
 * @param temperature 0 takes the largest logit (ties: the lower id)
 * @param topK 0 for all
 * @param topP in (0, 1], 1 for all: the smallest set of tokens whose probabilities reach it
 * @param minP in [0, 1): keeps tokens with at least this share of the largest probability
 * @param repetitionPenalty positive, 1 for none (Keskar et al. 2019)
 * @param seed with {@code counter}, all that the draw depends on (Philox4x32-10)
 * @param seen ids that the repetition penalty applies to
 */
public record SampleRow(float temperature, int topK, float topP, float minP, float repetitionPenalty, long seed, long counter, int[] seen) {
  private static final int[] NONE = {};

  /** Takes the largest logit. */
  public static SampleRow greedy() {
    return new SampleRow(0, 0, 1, 0, 1, 0, 0, NONE);
  }
}
