package dev.lanes.token;

import dev.lanes.format.CountedText;
import dev.lanes.format.TokenizerFile.MatchStep;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;

/**
 * Tries the regular expressions of a tokenizer on a text before the native tokenizer does. The native one ends the process when a match
 * needs ten million retries, for which a long run of spaces is enough with common expressions; Java's engine backtracks much alike, and
 * here every character it looks at is counted.
 */
final class MatchGuard {
  /** Below the native limit of retries, each of which looks at a character at least. */
  private static final long MAX_STEPS = 8_000_000;

  private final List<MatchStep> steps;

  MatchGuard(List<MatchStep> steps) {
    this.steps = steps;
  }

  /**
   * Checks a text.
   *
   * @throws IllegalArgumentException if an expression takes too many steps on it
   */
  void check(String input) {
    String text = input;
    for (MatchStep step : steps) {
      if (step instanceof MatchStep.Prepend prepend) {
        text = text.isEmpty() ? text : prepend.prefix() + text;
      } else if (step instanceof MatchStep.Replace replace) {
        text = text.replace(replace.text(), replace.by());
      } else if (step instanceof MatchStep.Lowercase) {
        text = text.toLowerCase(Locale.ROOT);
      } else if (step instanceof MatchStep.Normalize normalize) {
        text = java.text.Normalizer.normalize(text, normalize.form());
      } else if (step instanceof MatchStep.Match match) {
        text = match(match, text);
      }
    }
  }

  private static String match(MatchStep.Match step, String text) {
    CountedText counted = new CountedText(text, MAX_STEPS);
    StringBuilder replaced = new StringBuilder();
    try {
      Matcher matcher = step.pattern().matcher(counted);
      int end = 0;
      while (matcher.find()) {
        counted.reset();
        if (step.by().isPresent()) {
          replaced.append(text, end, matcher.start()).append(step.by().get());
          end = matcher.end();
        }
      }
      return step.by().isPresent() ? replaced.append(text, end, text.length()).toString() : text;
    } catch (CountedText.Exhausted | StackOverflowError e) {
      throw new IllegalArgumentException(
          "the text has a run that the tokenizer's " + step.item() + " cannot split in " + MAX_STEPS + " steps, at about character "
              + counted.last());
    }
  }
}
