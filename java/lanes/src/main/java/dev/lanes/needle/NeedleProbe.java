package dev.lanes.needle;

import java.util.Objects;

/**
 * One question to the model.
 *
 * @param policy the context policy
 * @param length tokens that the prompt and the room for its answer take
 * @param depth where the needle stands, in percent of the text before it: 0 at its beginning, 100 at its end
 * @param trial which repetition, from 0; each has a key, a number and a beginning of the text of its own
 */
public record NeedleProbe(NeedlePolicy policy, int length, int depth, int trial) {
  public NeedleProbe {
    Objects.requireNonNull(policy, "policy is null");
  }
}
