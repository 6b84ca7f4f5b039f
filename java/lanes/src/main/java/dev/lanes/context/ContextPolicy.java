package dev.lanes.context;

/**
 * What to do about the context length, the number of tokens that prompt and output of a generation share.
 *
 * <p>The text form, as {@link #parse} reads and {@link #text} writes it: {@code reject}, {@code truncate-oldest},
 * {@code truncate-oldest:KEEP}, {@code truncate-newest}, {@code truncate-middle}, {@code sliding:WINDOW},
 * {@code sinks:SINKS,WINDOW}.
 */
public sealed interface ContextPolicy {

  /** Refuses a prompt longer than the context; the output ends where the context is full. */
  static ContextPolicy reject() {
    return new Reject();
  }

  /** Drops the oldest tokens of an over-long prompt, but keeps the first {@code keepFirst} (a system prompt, or just BOS). */
  static ContextPolicy truncateOldest(int keepFirst) {
    return new Truncate(Truncate.Drop.OLDEST, keepFirst);
  }

  /** Drops the newest tokens of an over-long prompt. */
  static ContextPolicy truncateNewest() {
    return new Truncate(Truncate.Drop.NEWEST, 0);
  }

  /** Drops the middle of an over-long prompt. */
  static ContextPolicy truncateMiddle() {
    return new Truncate(Truncate.Drop.MIDDLE, 0);
  }

  /** Every token attends to the last {@code window} tokens, itself included. */
  static ContextPolicy slidingWindow(int window) {
    return new SlidingWindow(window);
  }

  /** Every token attends to the first {@code sinks} tokens and the last {@code window}. */
  static ContextPolicy attentionSinks(int sinks, int window) {
    return new AttentionSinks(sinks, window);
  }

  /**
   * Reads the text form.
   *
   * @throws IllegalArgumentException if it is none; the message lists the valid forms
   */
  static ContextPolicy parse(String text) {
    return ContextPolicyText.parse(text);
  }

  /** The text form; {@code parse(text())} gives an equal policy. */
  String text();

  /** A prompt longer than the context is refused with {@link dev.lanes.error.ContextOverflowException} before any work. */
  record Reject() implements ContextPolicy {
    @Override
    public String text() {
      return "reject";
    }
  }

  /**
   * Makes an over-long prompt fit with room for output: when the prompt and {@code min(maxTokens, limit / 2)} tokens of output (at
   * least one) exceed the limit, tokens are dropped until they fit. The output ends where the context is full.
   *
   * @param drop which end loses tokens
   * @param keepFirst for {@link Drop#OLDEST}, how many of the first tokens stay; otherwise 0
   */
  record Truncate(Drop drop, int keepFirst) implements ContextPolicy {
    /** Which tokens of the prompt are dropped. */
    public enum Drop {
      OLDEST,
      NEWEST,
      MIDDLE
    }

    public Truncate {
      if (drop == null) {
        throw new NullPointerException("drop is null");
      }
      if (keepFirst < 0) {
        throw new IllegalArgumentException("keepFirst is " + keepFirst + ", expected 0 or more");
      }
      if (keepFirst > 0 && drop != Drop.OLDEST) {
        throw new IllegalArgumentException("keepFirst is " + keepFirst + ", but only " + Drop.OLDEST + " keeps first tokens, not " + drop);
      }
    }

    @Override
    public String text() {
      return switch (drop) {
        case OLDEST -> keepFirst == 0 ? "truncate-oldest" : "truncate-oldest:" + keepFirst;
        case NEWEST -> "truncate-newest";
        case MIDDLE -> "truncate-middle";
      };
    }
  }

  /**
   * Every token, of prompt and output, attends to the last {@code window} tokens, itself included (Mistral, Jiang et al. 2023). What
   * leaves the window gives its memory back, so prompt and output may exceed the context limit and generation goes on.
   *
   * @param window tokens, at most the context limit
   */
  record SlidingWindow(int window) implements ContextPolicy {
    public SlidingWindow {
      if (window < 1) {
        throw new IllegalArgumentException("window is " + window + ", expected 1 or more");
      }
    }

    @Override
    public String text() {
      return "sliding:" + window;
    }
  }

  /**
   * Every token attends to the first {@code sinks} tokens and the last {@code window}, with positions re-numbered inside the cache so
   * that no distance exceeds {@code sinks + window - 1} (StreamingLLM, Xiao et al. 2023). Generation goes on past the context limit.
   *
   * @param sinks first tokens that stay visible
   * @param window last tokens, the token itself included; {@code sinks + window} is at most the context limit
   */
  record AttentionSinks(int sinks, int window) implements ContextPolicy {
    public AttentionSinks {
      if (sinks < 1) {
        throw new IllegalArgumentException("sinks is " + sinks + ", expected 1 or more");
      }
      if (window < 1) {
        throw new IllegalArgumentException("window is " + window + ", expected 1 or more");
      }
      if (sinks > Integer.MAX_VALUE - window) {
        throw new IllegalArgumentException("sinks + window is " + ((long) sinks + window) + ", expected at most " + Integer.MAX_VALUE);
      }
    }

    @Override
    public String text() {
      return "sinks:" + sinks + "," + window;
    }
  }
}
