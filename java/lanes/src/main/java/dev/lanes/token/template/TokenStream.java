package dev.lanes.token.template;

import dev.lanes.error.InvalidModelException;
import java.util.List;

/** The tokens of a template with the reading position of its parser, and the count of constructs it is inside. */
final class TokenStream {
  private final List<Token> tokens;
  private final Origin origin;
  private int position;
  private int nesting;

  TokenStream(List<Token> tokens, Origin origin) {
    this.tokens = tokens;
    this.origin = origin;
  }

  Origin origin() {
    return origin;
  }

  Token current() {
    return tokens.get(position);
  }

  int line() {
    return current().line();
  }

  /** The token behind the current one. */
  Token look() {
    return tokens.get(Math.min(position + 1, tokens.size() - 1));
  }

  /** Returns the current token and moves on. */
  Token next() {
    Token token = current();
    if (!token.is(Token.Type.END)) {
      position++;
    }
    return token;
  }

  boolean skipName(String name) {
    boolean found = current().isName(name);
    if (found) {
      next();
    }
    return found;
  }

  boolean skipOperator(String operator) {
    boolean found = current().isOperator(operator);
    if (found) {
      next();
    }
    return found;
  }

  void expectOperator(String operator) {
    if (!skipOperator(operator)) {
      throw unexpected("'" + operator + "'");
    }
  }

  Token expect(Token.Type type, String description) {
    if (!current().is(type)) {
      throw unexpected(description);
    }
    return next();
  }

  InvalidModelException unexpected(String expected) {
    return origin.invalid(line(), "expected " + expected + ", found " + current().describe());
  }

  /** Enters one more level of syntax inside the present one. */
  void enter() {
    if (++nesting > Limits.NESTING) {
      throw origin.unsupported(line(), "syntax nested more than " + Limits.NESTING + " deep");
    }
  }

  void leave(int levels) {
    nesting -= levels;
  }
}
