package dev.lanes;

/** Hears how far a measurement of perplexity is. Called on the measuring thread after each window; what it throws ends the measurement. */
@FunctionalInterface
public interface PerplexityProgress {
  /**
   * @param soFar the figures of the windows done, of all texts
   * @param totalTokens tokens to score in all; without overlap of windows a token a window less
   */
  void update(Perplexity soFar, long totalTokens);
}
