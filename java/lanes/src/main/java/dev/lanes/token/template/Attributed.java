package dev.lanes.token.template;

/** A value whose attributes are its own: everything but the plain Python types. */
interface Attributed {
  /** The attribute's value, or {@link Undefined#MISSING}. */
  Object attribute(String name);

  /** The name of the Python type, for error messages. */
  String typeName();
}
