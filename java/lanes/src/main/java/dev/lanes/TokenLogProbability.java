package dev.lanes;

import java.util.List;

/**
 * Log-probability of a token under the model, before temperature, penalties and cut-offs.
 *
 * @param tokenId the token
 * @param logProbability natural logarithm of its probability
 * @param top the likeliest tokens in its place, likeliest first, as many as asked for; theirs is empty
 */
public record TokenLogProbability(int tokenId, float logProbability, List<TokenLogProbability> top) {
  public TokenLogProbability {
    top = List.copyOf(top);
  }
}
