package dev.lanes.needle;

import dev.lanes.context.ContextPolicy;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * What a needle test asks. Immutable; {@link #builder()} makes one.
 *
 * @param text what is hidden, and in what
 * @param lengths tokens that a prompt and the room for its answer take; all different
 * @param depths where the needle stands, in percent, 0 to 100; all different
 * @param policies the context policies to compare; all different
 * @param trials repetitions of each cell, each with a key and a number of its own
 * @param distractors further needles with other keys, anywhere in the text: the key-value form of the test
 * @param answerTokens room for the answer; empty for 12, or 48 where the model has a chat template and answers in a sentence
 * @param chatTemplate whether the model's chat template is used where it has one
 * @param seed what keys, numbers and places follow from
 */
public record NeedleSpec(NeedleText text, List<Integer> lengths, List<Integer> depths, List<NeedlePolicy> policies, int trials,
    int distractors, OptionalInt answerTokens, boolean chatTemplate, long seed) {
  public NeedleSpec {
    Objects.requireNonNull(text, "text is null");
    Objects.requireNonNull(answerTokens, "answerTokens is null");
    lengths = distinct("lengths", lengths);
    depths = distinct("depths", depths);
    policies = distinct("policies", policies);
    lengths.forEach(length -> range("length", length, 1, Integer.MAX_VALUE));
    depths.forEach(depth -> range("depth", depth, 0, 100));
    range("trials", trials, 1, 1_000_000);
    range("distractors", distractors, 0, text.keys().size() - 1);
    answerTokens.ifPresent(tokens -> range("answerTokens", tokens, 1, 1 << 20));
  }

  private static <T> List<T> distinct(String name, List<T> values) {
    List<T> copy = List.copyOf(values);
    if (copy.isEmpty() || new HashSet<>(copy).size() < copy.size()) {
      throw new IllegalArgumentException(name + " are " + copy + ", expected at least one, all different");
    }
    return copy;
  }

  private static void range(String name, int value, int minimum, int maximum) {
    if (value < minimum || value > maximum) {
      throw new IllegalArgumentException(name + " is " + value + ", expected " + minimum + " to " + maximum);
    }
  }

  public static Builder builder() {
    return new Builder();
  }

  /** Makes {@link NeedleSpec}; {@link #build} refuses what cannot be with {@link IllegalArgumentException}. */
  public static final class Builder {
    private NeedleText text = NeedleText.english();
    private List<Integer> lengths = List.of(512);
    private List<Integer> depths = List.of(0, 25, 50, 75, 100);
    private List<NeedlePolicy> policies = List.of(NeedlePolicy.of(ContextPolicy.reject()));
    private int trials = 1;
    private int distractors;
    private OptionalInt answerTokens = OptionalInt.empty();
    private boolean chatTemplate = true;
    private long seed;

    private Builder() {}

    public Builder text(NeedleText value) {
      text = value;
      return this;
    }

    public Builder lengths(List<Integer> values) {
      lengths = values;
      return this;
    }

    public Builder depths(List<Integer> values) {
      depths = values;
      return this;
    }

    public Builder policies(List<NeedlePolicy> values) {
      policies = values;
      return this;
    }

    public Builder trials(int value) {
      trials = value;
      return this;
    }

    public Builder distractors(int value) {
      distractors = value;
      return this;
    }

    public Builder answerTokens(int value) {
      answerTokens = OptionalInt.of(value);
      return this;
    }

    public Builder chatTemplate(boolean value) {
      chatTemplate = value;
      return this;
    }

    public Builder seed(long value) {
      seed = value;
      return this;
    }

    public NeedleSpec build() {
      return new NeedleSpec(text, lengths, depths, policies, trials, distractors, answerTokens, chatTemplate, seed);
    }
  }
}
