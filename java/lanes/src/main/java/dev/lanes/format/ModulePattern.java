package dev.lanes.format;

import dev.lanes.error.InvalidModelException;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * What a quantization configuration names modules with: a module's full name, the name of its class ({@code Linear}), or {@code re:} and
 * a regular expression that fits from the beginning of the full name on, as Python's {@code re.match} does.
 *
 * <p>The expressions come from files. They are bounded in length, in how often they may repeat a part, and in the characters they may
 * look at.
 */
public final class ModulePattern {
  private static final String REGEX = "re:";
  private static final int MAX_LENGTH = 1000;
  /** Of the upper ends of all {@code {m,n}} in an expression: what they can multiply its work by without looking at a character. */
  private static final long MAX_REPEATS = 1000;
  private static final Pattern REPEAT = Pattern.compile("\\{(\\d{1,9})(?:,(\\d{0,9}))?\\}");
  /** Names have some tens of characters; honest expressions look at each a few times. */
  private static final long MAX_STEPS = 100_000;

  private final Path file;
  private final String field;
  private final String text;
  /** Null for a name. */
  private final Pattern regex;

  private ModulePattern(Path file, String field, String text, Pattern regex) {
    this.file = file;
    this.field = field;
    this.text = text;
    this.regex = regex;
  }

  /**
   * Reads a pattern.
   *
   * @param file where it stands, and {@code field} where in it: for messages
   * @throws InvalidModelException if it is no regular expression, or one beyond the bounds
   */
  static ModulePattern of(Path file, String field, String text) {
    if (text.length() > MAX_LENGTH) {
      throw new InvalidModelException(file, field, "has " + text.length() + " characters, expected at most " + MAX_LENGTH);
    }
    if (!text.startsWith(REGEX)) {
      return new ModulePattern(file, field, text, null);
    }
    String expression = text.substring(REGEX.length());
    long repeats = 1;
    Matcher repeat = REPEAT.matcher(expression);
    while (repeat.find()) {
      String end = repeat.group(2) == null || repeat.group(2).isEmpty() ? repeat.group(1) : repeat.group(2);
      repeats *= Math.max(1, Long.parseLong(end));
      if (repeats > MAX_REPEATS) {
        throw new InvalidModelException(file, field, "\"" + text + "\" repeats parts more than " + MAX_REPEATS + " times");
      }
    }
    try {
      return new ModulePattern(file, field, text, Pattern.compile(expression));
    } catch (PatternSyntaxException | StackOverflowError e) {
      throw new InvalidModelException(file, field, "\"" + text + "\" is not a regular expression that can be used: "
          + (e instanceof PatternSyntaxException syntax ? syntax.getDescription() : "too deeply nested"), e);
    }
  }

  boolean isRegex() {
    return regex != null;
  }

  /** Whether it names this module, by its full name. */
  boolean matchesName(String module) {
    if (regex == null) {
      return text.equals(module);
    }
    try {
      return regex.matcher(new CountedText(module, MAX_STEPS)).lookingAt();
    } catch (CountedText.Exhausted | StackOverflowError e) {
      throw new InvalidModelException(file, field,
          "\"" + text + "\" cannot be matched with \"" + module + "\" in " + MAX_STEPS + " steps");
    }
  }

  /** Whether it names modules of this class. */
  boolean matchesClass(String moduleClass) {
    return regex == null && text.equals(moduleClass);
  }

  @Override
  public String toString() {
    return text;
  }
}
