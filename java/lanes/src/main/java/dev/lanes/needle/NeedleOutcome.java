package dev.lanes.needle;

import java.util.Objects;

/**
 * What a probe gave.
 *
 * @param probe the question
 * @param verdict whether the model found the needle
 * @param promptTokens tokens of the prompt as built, at most {@code probe.length()} less the room for the answer
 * @param needleBegin token of the prompt at which the needle begins, counted by encoding the text before it; -1 where the chat template
 *     rewrites the needle
 * @param needleEnd the same for the needle's end
 * @param droppedTokens tokens that the context policy dropped by the end of the output
 * @param expected the answer
 * @param output what the model wrote; empty when it was refused
 */
public record NeedleOutcome(NeedleProbe probe, Verdict verdict, int promptTokens, int needleBegin, int needleEnd, long droppedTokens,
    String expected, String output) {
  /** How a probe ended. */
  public enum Verdict {
    /** The output is the answer. */
    FOUND,
    /** The output is something else. */
    LOST,
    /** The context policy refused the prompt; it counts neither as found nor as lost. */
    REFUSED
  }

  public NeedleOutcome {
    Objects.requireNonNull(probe, "probe is null");
    Objects.requireNonNull(verdict, "verdict is null");
    Objects.requireNonNull(expected, "expected is null");
    Objects.requireNonNull(output, "output is null");
  }
}
