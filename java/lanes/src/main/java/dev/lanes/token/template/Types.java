package dev.lanes.token.template;

import java.math.BigInteger;
import java.util.List;

/** Names of Python types, for error messages. */
final class Types {
  private Types() {}

  static String name(Object value) {
    if (value == null) {
      return "NoneType";
    }
    if (value instanceof String) {
      return "str";
    }
    if (value instanceof Boolean) {
      return "bool";
    }
    if (value instanceof Long || value instanceof BigInteger) {
      return "int";
    }
    if (value instanceof Double) {
      return "float";
    }
    if (value instanceof List) {
      return "list";
    }
    if (value instanceof Dict) {
      return "dict";
    }
    if (value instanceof Tuple) {
      return "tuple";
    }
    if (value instanceof DictView view) {
      return view.typeName();
    }
    if (value instanceof Generator generator) {
      return generator.typeName();
    }
    if (value instanceof Range) {
      return "range";
    }
    if (value instanceof Attributed attributed) {
      return attributed.typeName();
    }
    return value.getClass().getSimpleName();
  }
}
