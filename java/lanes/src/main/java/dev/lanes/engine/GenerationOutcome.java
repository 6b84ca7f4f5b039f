package dev.lanes.engine;

import dev.lanes.context.ContextReport;

/**
 * How a generation ended.
 *
 * @param end why
 * @param stopText the stop string that ended it, or null
 * @param context what the context policy did
 * @param promptTokens tokens of the prompt that went into the context
 * @param reusedTokens those of them that need not be computed
 * @param outputTokens tokens made
 * @param queueNanos time before the first step
 * @param prefillNanos time from the first step to the first token
 * @param decodeNanos time from the first token to the last
 * @param peakNativeBytes highest native memory so far
 */
public record GenerationOutcome(End end, String stopText, ContextReport context, int promptTokens, int reusedTokens, int outputTokens,
    long queueNanos, long prefillNanos, long decodeNanos, long peakNativeBytes) {

  /** Why a generation ended. */
  public enum End {
    END_TOKEN,
    STOP_TEXT,
    LENGTH,
    CONTEXT_FULL,
    CANCELLED
  }
}
