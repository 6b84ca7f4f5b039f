package dev.lanes.context;

import java.util.Objects;

/** The text form of a {@link ContextPolicy}. */
final class ContextPolicyText {
  private static final String FORMS =
      "reject, truncate-oldest, truncate-oldest:KEEP, truncate-newest, truncate-middle, sliding:WINDOW, sinks:SINKS,WINDOW";

  private ContextPolicyText() {}

  static ContextPolicy parse(String text) {
    Objects.requireNonNull(text, "context policy is null");
    int colon = text.indexOf(':');
    String name = colon < 0 ? text : text.substring(0, colon);
    String[] arguments = colon < 0 ? new String[0] : text.substring(colon + 1).split(",", -1);
    try {
      ContextPolicy policy = make(name, arguments);
      if (policy != null) {
        return policy;
      }
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(message(text), e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("context policy '" + text + "': " + e.getMessage(), e);
    }
    throw new IllegalArgumentException(message(text));
  }

  private static String message(String text) {
    return "context policy '" + text + "' is unknown, expected one of: " + FORMS;
  }

  /** Null when the name is unknown or has another number of arguments. */
  private static ContextPolicy make(String name, String[] arguments) {
    return switch (name + "/" + arguments.length) {
      case "reject/0" -> ContextPolicy.reject();
      case "truncate-oldest/0" -> ContextPolicy.truncateOldest(0);
      case "truncate-oldest/1" -> ContextPolicy.truncateOldest(Integer.parseInt(arguments[0]));
      case "truncate-newest/0" -> ContextPolicy.truncateNewest();
      case "truncate-middle/0" -> ContextPolicy.truncateMiddle();
      case "sliding/1" -> ContextPolicy.slidingWindow(Integer.parseInt(arguments[0]));
      case "sinks/2" -> ContextPolicy.attentionSinks(Integer.parseInt(arguments[0]), Integer.parseInt(arguments[1]));
      default -> null;
    };
  }
}
