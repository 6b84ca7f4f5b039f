package dev.lanes.needle;

import dev.lanes.GenerationOptions;
import dev.lanes.context.ContextPolicy;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * A context policy under test, and the context limit it works with.
 *
 * <p>The text form, as {@link #parse} reads and {@link #text} writes it: a policy as {@link ContextPolicy#parse} reads it, then
 * {@code @LIMIT} where the limit is not the model's own, such as {@code truncate-oldest@512}.
 *
 * @param policy what happens when the context is full
 * @param limit tokens that prompt and output share; empty for the model's own limit
 */
public record NeedlePolicy(ContextPolicy policy, OptionalInt limit) {
  public NeedlePolicy {
    Objects.requireNonNull(policy, "policy is null");
    Objects.requireNonNull(limit, "limit is null");
    if (limit.isPresent() && limit.getAsInt() < 1) {
      throw new IllegalArgumentException("the limit of policy " + policy.text() + " is " + limit.getAsInt() + ", expected 1 or more");
    }
  }

  /** A policy within the model's own limit. */
  public static NeedlePolicy of(ContextPolicy policy) {
    return new NeedlePolicy(policy, OptionalInt.empty());
  }

  /**
   * Reads the text form.
   *
   * @throws IllegalArgumentException if it is none
   */
  public static NeedlePolicy parse(String text) {
    Objects.requireNonNull(text, "policy is null");
    int at = text.indexOf('@');
    if (at < 0) {
      return of(ContextPolicy.parse(text));
    }
    ContextPolicy policy = ContextPolicy.parse(text.substring(0, at));
    try {
      return new NeedlePolicy(policy, OptionalInt.of(Integer.parseInt(text.substring(at + 1))));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("policy '" + text + "': '" + text.substring(at + 1) + "' is no context limit, expected a number",
          e);
    }
  }

  /** The text form; {@code parse(text())} gives an equal policy. */
  public String text() {
    return limit.isPresent() ? policy.text() + "@" + limit.getAsInt() : policy.text();
  }

  GenerationOptions options(int answerTokens) {
    GenerationOptions.Builder options = GenerationOptions.builder().maxTokens(answerTokens).contextPolicy(policy);
    limit.ifPresent(options::contextLength);
    return options.build();
  }
}
