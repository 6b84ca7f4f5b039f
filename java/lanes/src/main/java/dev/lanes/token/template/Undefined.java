package dev.lanes.token.template;

/**
 * What a name, attribute or element that does not exist evaluates to: it prints as nothing, is false and empty, and fails in any other
 * use.
 */
final class Undefined {
  /** The absence of a value: an unset variable, an attribute that is not there. Templates only ever see an {@link Undefined} for it. */
  static final Object MISSING = new Object();

  private final String message;

  private Undefined(String message) {
    this.message = message;
  }

  static Undefined because(String message) {
    return new Undefined(message);
  }

  static Undefined name(String name) {
    return new Undefined("'" + name + "' is undefined");
  }

  static Undefined element(Object container, Object key) {
    String type = container == null ? "None" : Types.name(container) + " object";
    return Strings.is(key)
        ? new Undefined("'" + type + "' has no attribute '" + Strings.text(key) + "'")
        : new Undefined(type + " has no element " + (key instanceof Long ? key : "of type '" + Types.name(key) + "'"));
  }

  /** An attribute that the immutable sandbox hides, such as {@code list.append}. */
  static Undefined unsafe(Object container, String attribute) {
    return new Undefined("access to attribute '" + attribute + "' of '" + Types.name(container) + "' object is unsafe");
  }

  Failure failure() {
    return new Failure(message);
  }
}
