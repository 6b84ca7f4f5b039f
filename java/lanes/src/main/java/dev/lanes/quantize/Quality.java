package dev.lanes.quantize;

/**
 * How a quantized model's predictions differ from those of the float model, over the same tokens with the same context.
 *
 * @param tokens positions compared
 * @param agreement share of positions where both find the same token likeliest
 * @param meanDivergence mean Kullback-Leibler divergence of the quantized distribution from the float one, in nats
 * @param p99Divergence the divergence that one position in a hundred exceeds
 * @param perplexityBefore of the float model
 * @param perplexityAfter of the quantized model
 */
public record Quality(long tokens, double agreement, double meanDivergence, double p99Divergence, double perplexityBefore,
    double perplexityAfter) {
  /** By what share the perplexity is higher than before; negative where it is lower. */
  public double perplexityIncrease() {
    return perplexityAfter / perplexityBefore - 1;
  }
}
