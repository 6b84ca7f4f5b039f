package dev.lanes.context;

import dev.lanes.error.ContextOverflowException;
import dev.lanes.error.UnsupportedRequestException;
import java.util.ArrayList;
import java.util.List;

/**
 * What a policy decides for one request before it runs.
 *
 * @param policy the policy
 * @param limit tokens that prompt and output share
 * @param promptTokens tokens of the prompt as given
 * @param droppedPrompt the part of it that is left out, or null
 * @param window how many of the latest tokens a token sees, 0 for all
 * @param sinks how many of the first tokens stay visible beside the window
 * @param capacity tokens of prompt and output after which the context is full
 */
public record ContextPlan(ContextPolicy policy, int limit, int promptTokens, TokenRange droppedPrompt, int window, int sinks,
    int capacity) {

  /** Where windows slide there is no limit but that of Java's arrays. */
  static final int UNBOUNDED = Integer.MAX_VALUE - 64;

  /**
   * Plans a request.
   *
   * @param promptTokens tokens of the prompt, at least 1
   * @param maxTokens tokens of output asked for
   * @throws ContextOverflowException if the policy refuses the prompt
   * @throws IllegalArgumentException if the policy's numbers do not fit the limit
   * @throws UnsupportedRequestException if the model's positions do not allow the policy
   */
  public static ContextPlan of(ContextPolicy policy, ContextLimits limits, int promptTokens, int maxTokens) {
    int limit = limits.limit();
    if (policy instanceof ContextPolicy.Truncate truncate) {
      return truncate(truncate, limit, promptTokens, maxTokens);
    }
    if (policy instanceof ContextPolicy.SlidingWindow sliding) {
      requireWithin(policy, sliding.window(), limit);
      int capacity = limits.rotary() ? UNBOUNDED : limits.maxPositions();
      requireFits(promptTokens, capacity);
      return new ContextPlan(policy, limit, promptTokens, null, sliding.window(), 0, capacity);
    }
    if (policy instanceof ContextPolicy.AttentionSinks sinks) {
      if (!limits.rotary()) {
        throw new UnsupportedRequestException("context policy " + policy.text()
            + " re-numbers positions, which only rotary embeddings allow; this model's positions are learned");
      }
      requireWithin(policy, sinks.sinks() + sinks.window(), limit);
      requireFits(promptTokens, UNBOUNDED);
      return new ContextPlan(policy, limit, promptTokens, null, sinks.window(), sinks.sinks(), UNBOUNDED);
    }
    requireFits(promptTokens, limit);
    return new ContextPlan(policy, limit, promptTokens, null, 0, 0, limit);
  }

  private static ContextPlan truncate(ContextPolicy.Truncate policy, int limit, int promptTokens, int maxTokens) {
    int reserve = maxTokens == 0 ? 0 : Math.max(1, Math.min(maxTokens, limit / 2));
    int kept = Math.max(1, limit - reserve);
    int excess = promptTokens - kept;
    if (excess <= 0) {
      return new ContextPlan(policy, limit, promptTokens, null, 0, 0, limit);
    }
    int begin = switch (policy.drop()) {
      case OLDEST -> policy.keepFirst();
      case NEWEST -> kept;
      case MIDDLE -> kept / 2;
    };
    if (policy.drop() == ContextPolicy.Truncate.Drop.OLDEST && begin >= kept) {
      throw new IllegalArgumentException("keepFirst is " + begin + ", expected less than " + kept + ": of a context of " + limit
          + " tokens, " + (limit - kept) + " are for the output and at least one for the newest token of the prompt");
    }
    return new ContextPlan(policy, limit, promptTokens, new TokenRange(begin, (long) begin + excess), 0, 0, limit);
  }

  private static void requireFits(int promptTokens, int limit) {
    if (promptTokens > limit) {
      throw new ContextOverflowException(promptTokens, limit);
    }
  }

  private static void requireWithin(ContextPolicy policy, int visible, int limit) {
    if (visible > limit) {
      throw new IllegalArgumentException("context policy " + policy.text() + " shows " + visible
          + " tokens at once, expected at most the context limit of " + limit);
    }
  }

  /** The prompt without what was dropped. */
  public int[] keep(int[] prompt) {
    if (droppedPrompt == null) {
      return prompt.clone();
    }
    int begin = (int) droppedPrompt.begin();
    int end = (int) droppedPrompt.end();
    int[] kept = new int[prompt.length - (end - begin)];
    System.arraycopy(prompt, 0, kept, 0, begin);
    System.arraycopy(prompt, end, kept, begin, prompt.length - end);
    return kept;
  }

  /** Tokens of the prompt that are kept. */
  public int keptTokens() {
    return promptTokens - (droppedPrompt == null ? 0 : (int) droppedPrompt.length());
  }

  /**
   * The position at which the query of token {@code index} stands for the attention sinks: its place in a cache that holds the sinks and
   * the window only (Xiao et al. 2023). For the keys of the window, distances are the same under running positions.
   */
  public long sinkPosition(int index) {
    return sinks == 0 ? index : Math.min(index, (long) sinks + window - 1);
  }

  /**
   * The first token that a query at {@code index} or later sees besides the sinks.
   *
   * @param modelWindow the widest window of the model's own layers, 0 for none
   */
  public int firstVisible(int index, int modelWindow) {
    int width = window == 0 ? modelWindow : modelWindow == 0 ? window : Math.min(window, modelWindow);
    return width == 0 ? 0 : Math.max(0, index - width + 1);
  }

  /**
   * What was dropped.
   *
   * @param computedTokens tokens of prompt and output that went through the model
   */
  public ContextReport report(int computedTokens) {
    List<TokenRange> dropped = new ArrayList<>();
    if (droppedPrompt != null) {
      dropped.add(droppedPrompt);
    }
    if (window > 0 && computedTokens - window > sinks) {
      dropped.add(new TokenRange(sinks, computedTokens - window));
    }
    return new ContextReport(policy, limit, dropped);
  }
}
