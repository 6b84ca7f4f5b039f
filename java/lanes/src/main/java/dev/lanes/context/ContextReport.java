package dev.lanes.context;

import java.util.List;
import java.util.Objects;

/**
 * What a context policy did to a generation.
 *
 * @param policy the policy asked for
 * @param limit tokens that prompt and output share
 * @param dropped what the model no longer saw when it made the last token. For {@link ContextPolicy.Truncate} these are positions in
 *     the prompt as given, for windows positions in prompt and output together. Ascending, without overlap; empty when nothing was
 *     dropped
 */
public record ContextReport(ContextPolicy policy, int limit, List<TokenRange> dropped) {
  public ContextReport {
    Objects.requireNonNull(policy, "policy is null");
    dropped = List.copyOf(dropped);
  }

  /** Number of tokens dropped. */
  public long droppedTokens() {
    return dropped.stream().mapToLong(TokenRange::length).sum();
  }
}
