package dev.lanes;

/**
 * What a generation took.
 *
 * @param promptTokens tokens of the prompt that went into the context, after the policy dropped some
 * @param reusedTokens those of them whose keys and values another request had already computed
 * @param outputTokens tokens made
 * @param queueSeconds from the call until the first step
 * @param prefillSeconds from the first step until the first token
 * @param decodeSeconds from the first token until the last
 * @param peakNativeBytes highest memory outside the Java heap so far, of the whole process
 */
public record GenerationStats(int promptTokens, int reusedTokens, int outputTokens, double queueSeconds, double prefillSeconds,
    double decodeSeconds, long peakNativeBytes) {

  /** Prompt tokens computed a second, up to the first token; 0 when nothing was computed. */
  public double prefillTokensPerSecond() {
    return prefillSeconds > 0 ? (promptTokens - reusedTokens) / prefillSeconds : 0;
  }

  /** Tokens a second after the first; 0 for fewer than two tokens. */
  public double decodeTokensPerSecond() {
    return decodeSeconds > 0 && outputTokens > 1 ? (outputTokens - 1) / decodeSeconds : 0;
  }
}
