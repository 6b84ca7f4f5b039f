package dev.lanes.token.template;

/** Values that are a Python str: String and {@link Markup}. */
final class Strings {
  private Strings() {}

  static boolean is(Object value) {
    return value instanceof String || value instanceof Markup;
  }

  /** The text of a value for which {@link #is} holds. */
  static String text(Object value) {
    return value instanceof Markup markup ? markup.text() : (String) value;
  }

  /** The text of an argument that must be a string. */
  static String argument(Object value, String function) {
    if (!is(value)) {
      if (value instanceof Undefined undefined) {
        throw undefined.failure();
      }
      throw new Failure(function + "() argument must be str, not " + Types.name(value));
    }
    return text(value);
  }

  /** Text in the string type of the model. */
  static Object like(Object model, String text) {
    return model instanceof Markup ? new Markup(text) : text;
  }
}
