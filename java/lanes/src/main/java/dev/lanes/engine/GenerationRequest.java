package dev.lanes.engine;

import dev.lanes.context.ContextPlan;
import dev.lanes.token.IncrementalDecoder;
import java.util.List;

/**
 * A request for tokens.
 *
 * @param tokens the prompt after the context policy dropped what it drops; not changed
 * @param plan what the context policy decided
 * @param maxTokens tokens to make at most
 * @param sampling how
 * @param endTokens ids that end the output
 * @param stop texts that end it; need a decoder
 * @param decoder makes text of the output, or null
 */
public record GenerationRequest(int[] tokens, ContextPlan plan, int maxTokens, Sampling sampling, int[] endTokens, List<String> stop,
    IncrementalDecoder decoder) {
  public GenerationRequest {
    stop = List.copyOf(stop);
  }
}
