package dev.lanes.token.template;

/**
 * A token of the template source.
 *
 * @param text the name, the operator, or the text of data and string literals with escapes resolved
 * @param value the value of a number literal, else null
 */
record Token(Type type, String text, Object value, int line) {
  enum Type { DATA, VARIABLE_BEGIN, VARIABLE_END, BLOCK_BEGIN, BLOCK_END, NAME, STRING, INTEGER, FLOAT, OPERATOR, END }

  boolean is(Type expected) {
    return type == expected;
  }

  boolean isName(String name) {
    return type == Type.NAME && text.equals(name);
  }

  boolean isOperator(String operator) {
    return type == Type.OPERATOR && text.equals(operator);
  }

  String describe() {
    return switch (type) {
      case NAME, OPERATOR -> "'" + text + "'";
      case STRING -> "a string";
      case INTEGER, FLOAT -> "a number";
      case DATA -> "template text";
      case VARIABLE_BEGIN -> "'{{'";
      case VARIABLE_END -> "'}}'";
      case BLOCK_BEGIN -> "'{%'";
      case BLOCK_END -> "'%}'";
      case END -> "the end of the template";
    };
  }
}
