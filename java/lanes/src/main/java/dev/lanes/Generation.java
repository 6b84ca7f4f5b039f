package dev.lanes;

import dev.lanes.context.ContextReport;
import java.util.List;
import java.util.Optional;

/**
 * A finished generation.
 *
 * @param text the output without stop text and special tokens, spelled as what follows the prompt (with the space between two words);
 *     empty where the model has no tokenizer. After a cancellation, what had been streamed
 * @param promptIds the prompt as given, before a policy dropped any of it
 * @param outputIds every token that was made, an end token included
 * @param finishReason why it stopped
 * @param stopText the stop string that ended it, for {@link FinishReason#STOP_TEXT}
 * @param context the context policy's report
 * @param logProbabilities one for each output token where {@link GenerationOptions#logProbabilities()} asks for it, else empty
 * @param stats token counts and times
 */
public record Generation(String text, int[] promptIds, int[] outputIds, FinishReason finishReason, Optional<String> stopText,
    ContextReport context, List<TokenLogProbability> logProbabilities, GenerationStats stats) {
  public Generation {
    promptIds = promptIds.clone();
    outputIds = outputIds.clone();
    logProbabilities = List.copyOf(logProbabilities);
  }

  @Override
  public int[] promptIds() {
    return promptIds.clone();
  }

  @Override
  public int[] outputIds() {
    return outputIds.clone();
  }

  /** Tokens that the context policy dropped. */
  public long droppedTokens() {
    return context.droppedTokens();
  }
}
