package dev.lanes.error;

/** The prompt does not fit the context and the policy is to refuse it. */
public class ContextOverflowException extends LanesException {
  private final int promptTokens;
  private final int limit;

  public ContextOverflowException(int promptTokens, int limit) {
    super("the prompt has " + promptTokens + " tokens, " + (promptTokens - limit) + " more than the context limit of " + limit
        + "; shorten it, raise the limit, or choose a context policy that drops tokens");
    this.promptTokens = promptTokens;
    this.limit = limit;
  }

  public int promptTokens() {
    return promptTokens;
  }

  /** Tokens that prompt and output share. */
  public int limit() {
    return limit;
  }

  /** By how many tokens the prompt exceeds the limit. */
  public int excess() {
    return promptTokens - limit;
  }
}
