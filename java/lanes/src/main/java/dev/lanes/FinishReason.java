package dev.lanes;

/** Why a generation stopped. */
public enum FinishReason {
  /** The model chose an end token, or one of {@link GenerationOptions#stopTokenIds()}. */
  END_TOKEN,
  /** A stop string appeared; the text ends before it. */
  STOP_TEXT,
  /** {@link GenerationOptions#maxTokens()} tokens were made. */
  LENGTH,
  /** Prompt and output fill the context. */
  CONTEXT_FULL,
  /** It was cancelled, or the model was closed. */
  CANCELLED
}
