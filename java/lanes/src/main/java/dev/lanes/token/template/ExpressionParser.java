package dev.lanes.token.template;

import dev.lanes.token.template.Node.Expr;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Parses expressions. From loosest to tightest: conditional, or, and, not, comparison, + -, ~, * / // %, **, unary sign, then postfix
 * (attribute, subscript, call), filters and tests.
 */
final class ExpressionParser {
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
  private static final Set<String> CONSTANTS = Set.of("true", "false", "none", "True", "False", "None");

  private final TokenStream tokens;

  ExpressionParser(TokenStream tokens) {
    this.tokens = tokens;
  }

  Expr parse() {
    return parse(true);
  }

  private Expr parse(boolean conditional) {
    tokens.enter();
    Expr expression = conditional ? parseConditional() : parseOr();
    tokens.leave(1);
    return expression;
  }

  /** An expression or, with commas, a tuple. */
  Expr parseTuple() {
    return parseTuple(true, null, false);
  }

  /** What {@code if} tests. */
  Expr parseCondition() {
    return parseTuple(false, null, false);
  }

  /** What {@code for} goes over. */
  Expr parseIterable() {
    return parseTuple(false, "recursive", false);
  }

  private Expr parseTuple(boolean conditional, String endName, boolean parenthesised) {
    int line = tokens.line();
    List<Expr> items = new ArrayList<>();
    boolean tuple = false;
    while (!atTupleEnd(endName)) {
      items.add(parse(conditional));
      if (!tokens.skipOperator(",")) {
        break;
      }
      tuple = true;
    }
    if (!tuple && items.size() == 1) {
      return items.get(0);
    }
    if (!tuple && !parenthesised) {
      throw tokens.unexpected("an expression");
    }
    return new Node.TupleOf(line, items);
  }

  private boolean atTupleEnd(String endName) {
    Token token = tokens.current();
    return token.is(Token.Type.VARIABLE_END) || token.is(Token.Type.BLOCK_END) || token.isOperator(")")
        || endName != null && token.isName(endName);
  }

  /** The target of a set, for or with: names, tuples of targets, and where allowed attributes of a namespace. */
  Expr parseTarget(String endName, boolean namespaces) {
    int line = tokens.line();
    List<Expr> items = new ArrayList<>();
    boolean tuple = false;
    while (!atTupleEnd(endName)) {
      items.add(parseSingleTarget(namespaces));
      if (!tokens.skipOperator(",")) {
        break;
      }
      tuple = true;
    }
    if (items.isEmpty()) {
      throw tokens.unexpected("a name to assign to");
    }
    return tuple ? new Node.TupleOf(line, items) : items.get(0);
  }

  private Expr parseSingleTarget(boolean namespaces) {
    Token token = tokens.current();
    if (token.is(Token.Type.NAME) && namespaces && tokens.look().isOperator(".")) {
      tokens.next();
      tokens.next();
      return new Node.NamespaceTarget(token.line(), token.text(), tokens.expect(Token.Type.NAME, "a name").text());
    }
    return asTarget(parsePrimary());
  }

  private Expr asTarget(Expr expression) {
    if (expression instanceof Node.Name name) {
      return new Node.Name(name.line(), name.name(), Node.Use.STORE);
    }
    if (expression instanceof Node.TupleOf tuple && !tuple.items().isEmpty()) {
      return new Node.TupleOf(tuple.line(), tuple.items().stream().map(this::asTarget).toList());
    }
    throw tokens.origin().invalid(expression.line(), "cannot assign to this expression");
  }

  /** A single name that is assigned to: of a macro or its parameter. */
  Node.Name parseName(Node.Use use) {
    Token token = tokens.expect(Token.Type.NAME, "a name");
    if (CONSTANTS.contains(token.text())) {
      throw tokens.origin().invalid(token.line(), "cannot assign to '" + token.text() + "'");
    }
    return new Node.Name(token.line(), token.text(), use);
  }

  private Expr parseConditional() {
    int line = tokens.line();
    Expr then = parseOr();
    int levels = 0;
    while (tokens.skipName("if")) {
      tokens.enter();
      levels++;
      Expr test = parseOr();
      Expr otherwise = null;
      if (tokens.skipName("else")) {
        otherwise = parseConditional();
      }
      then = new Node.Conditional(line, test, then, otherwise);
      line = tokens.line();
    }
    tokens.leave(levels);
    return then;
  }

  private Expr parseOr() {
    int line = tokens.line();
    Expr left = parseAnd();
    int levels = 0;
    while (tokens.skipName("or")) {
      tokens.enter();
      levels++;
      left = new Node.Binary(line, "or", left, parseAnd());
    }
    tokens.leave(levels);
    return left;
  }

  private Expr parseAnd() {
    int line = tokens.line();
    Expr left = parseNot();
    int levels = 0;
    while (tokens.skipName("and")) {
      tokens.enter();
      levels++;
      left = new Node.Binary(line, "and", left, parseNot());
    }
    tokens.leave(levels);
    return left;
  }

  private Expr parseNot() {
    if (!tokens.current().isName("not")) {
      return parseComparison();
    }
    int line = tokens.next().line();
    tokens.enter();
    Expr operand = parseNot();
    tokens.leave(1);
    return new Node.Unary(line, "not", operand);
  }

  private Expr parseComparison() {
    int line = tokens.line();
    Expr first = parseSum();
    List<String> operators = new ArrayList<>();
    List<Expr> operands = new ArrayList<>();
    while (true) {
      Token token = tokens.current();
      if (token.is(Token.Type.OPERATOR) && COMPARISONS.contains(token.text())) {
        operators.add(tokens.next().text());
      } else if (tokens.skipName("in")) {
        operators.add("in");
      } else if (token.isName("not") && tokens.look().isName("in")) {
        tokens.next();
        tokens.next();
        operators.add("not in");
      } else {
        return operators.isEmpty() ? first : new Node.Compare(line, first, operators, operands);
      }
      operands.add(parseSum());
    }
  }

  private Expr parseSum() {
    int line = tokens.line();
    Expr left = parseConcat();
    int levels = 0;
    while (tokens.current().isOperator("+") || tokens.current().isOperator("-")) {
      tokens.enter();
      levels++;
      left = new Node.Binary(line, tokens.next().text(), left, parseConcat());
    }
    tokens.leave(levels);
    return left;
  }

  private Expr parseConcat() {
    int line = tokens.line();
    List<Expr> parts = new ArrayList<>();
    do {
      parts.add(parseProduct());
    } while (tokens.skipOperator("~"));
    return parts.size() == 1 ? parts.get(0) : new Node.Concat(line, parts);
  }

  private Expr parseProduct() {
    int line = tokens.line();
    Expr left = parsePower();
    int levels = 0;
    while (tokens.current().is(Token.Type.OPERATOR) && Set.of("*", "/", "//", "%").contains(tokens.current().text())) {
      tokens.enter();
      levels++;
      left = new Node.Binary(line, tokens.next().text(), left, parsePower());
    }
    tokens.leave(levels);
    return left;
  }

  /** Unlike in Python, powers group from the left and bind less tightly than a sign. */
  private Expr parsePower() {
    int line = tokens.line();
    Expr left = parseUnary(true);
    int levels = 0;
    while (tokens.skipOperator("**")) {
      tokens.enter();
      levels++;
      left = new Node.Binary(line, "**", left, parseUnary(true));
    }
    tokens.leave(levels);
    return left;
  }

  private Expr parseUnary(boolean filters) {
    Token token = tokens.current();
    Expr node;
    if (token.isOperator("-") || token.isOperator("+")) {
      tokens.next();
      tokens.enter();
      node = new Node.Unary(token.line(), token.text(), parseUnary(false));
      tokens.leave(1);
    } else {
      node = parsePrimary();
    }
    return parsePostfix(node, filters);
  }

  /** Attributes, subscripts and calls; behind the first filter or test only filters, tests and calls. */
  private Expr parsePostfix(Expr start, boolean filters) {
    Expr node = start;
    int levels = 0;
    boolean filtered = false;
    while (true) {
      Token token = tokens.current();
      if (token.isOperator("(")) {
        node = new Node.Call(token.line(), node, parseArguments());
      } else if (!filtered && (token.isOperator(".") || token.isOperator("["))) {
        node = parseSubscript(node);
      } else if (filters && token.isOperator("|")) {
        node = parseFilters(node);
        filtered = true;
      } else if (filters && token.isName("is")) {
        node = parseTest(node);
        filtered = true;
      } else {
        tokens.leave(levels);
        return node;
      }
      tokens.enter();
      levels++;
    }
  }

  private Expr parsePrimary() {
    Token token = tokens.next();
    return switch (token.type()) {
      case NAME -> switch (token.text()) {
        case "true", "True" -> new Node.Const(token.line(), true);
        case "false", "False" -> new Node.Const(token.line(), false);
        case "none", "None" -> new Node.Const(token.line(), null);
        default -> new Node.Name(token.line(), token.text(), Node.Use.LOAD);
      };
      case STRING -> {
        StringBuilder text = new StringBuilder(token.text());
        while (tokens.current().is(Token.Type.STRING)) {
          text.append(tokens.next().text());
        }
        yield new Node.Const(token.line(), text.toString());
      }
      case INTEGER, FLOAT -> new Node.Const(token.line(), token.value());
      case OPERATOR -> parseBracket(token);
      default -> throw tokens.origin().invalid(token.line(), "expected an expression, found " + token.describe());
    };
  }

  private Expr parseBracket(Token token) {
    switch (token.text()) {
      case "(":
        Expr inner = parseTuple(true, null, true);
        tokens.expectOperator(")");
        return inner;
      case "[":
        List<Expr> items = new ArrayList<>();
        while (!tokens.skipOperator("]")) {
          if (!items.isEmpty()) {
            tokens.expectOperator(",");
            if (tokens.skipOperator("]")) {
              break;
            }
          }
          items.add(parse());
        }
        return new Node.ListOf(token.line(), items);
      case "{":
        return parseDict(token.line());
      default:
        throw tokens.origin().invalid(token.line(), "expected an expression, found " + token.describe());
    }
  }

  private Expr parseDict(int line) {
    List<Expr> keys = new ArrayList<>();
    List<Expr> values = new ArrayList<>();
    while (!tokens.skipOperator("}")) {
      if (!keys.isEmpty()) {
        tokens.expectOperator(",");
        if (tokens.skipOperator("}")) {
          break;
        }
      }
      keys.add(parse());
      tokens.expectOperator(":");
      values.add(parse());
    }
    return new Node.DictOf(line, keys, values);
  }

  private Expr parseSubscript(Expr value) {
    Token token = tokens.next();
    if (token.isOperator(".")) {
      Token name = tokens.next();
      if (name.is(Token.Type.NAME)) {
        return new Node.Attribute(token.line(), value, name.text());
      }
      if (name.is(Token.Type.INTEGER)) {
        return new Node.Item(token.line(), value, new Node.Const(name.line(), name.value()));
      }
      throw tokens.origin().invalid(name.line(), "expected a name or number behind '.', found " + name.describe());
    }
    if (tokens.skipOperator("]")) {
      return new Node.Item(token.line(), value, new Node.TupleOf(token.line(), List.of()));
    }
    Expr start = tokens.current().isOperator(":") ? null : parse();
    if (tokens.skipOperator("]")) {
      return new Node.Item(token.line(), value, start);
    }
    if (tokens.current().isOperator(",")) {
      return parseTupleKey(token.line(), value, start);
    }
    tokens.expectOperator(":");
    Expr stop = atSliceEnd() ? null : parse();
    Expr step = null;
    if (tokens.skipOperator(":") && !atSliceEnd()) {
      step = parse();
    }
    if (tokens.current().isOperator(",")) {
      throw tokens.origin().unsupported(token.line(), "a subscript with several slices");
    }
    tokens.expectOperator("]");
    return new Node.Slice(token.line(), value, start, stop, step);
  }

  private Expr parseTupleKey(int line, Expr value, Expr first) {
    List<Expr> keys = new ArrayList<>();
    keys.add(first);
    while (tokens.skipOperator(",")) {
      if (tokens.current().isOperator(":")) {
        throw tokens.origin().unsupported(line, "a subscript with several slices");
      }
      keys.add(parse());
    }
    tokens.expectOperator("]");
    return new Node.Item(line, value, new Node.TupleOf(line, keys));
  }

  private boolean atSliceEnd() {
    Token token = tokens.current();
    return token.isOperator(":") || token.isOperator("]") || token.isOperator(",");
  }

  private Node.CallArguments parseArguments() {
    int line = tokens.line();
    tokens.expectOperator("(");
    List<Expr> positional = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<Expr> named = new ArrayList<>();
    Expr sequence = null;
    Expr mapping = null;
    boolean first = true;
    while (!tokens.skipOperator(")")) {
      if (!first) {
        tokens.expectOperator(",");
        if (tokens.skipOperator(")")) {
          break;
        }
      }
      first = false;
      boolean ordered = mapping == null;
      if (tokens.skipOperator("*")) {
        ordered &= sequence == null;
        sequence = parse();
      } else if (tokens.skipOperator("**")) {
        mapping = parse();
      } else if (tokens.current().is(Token.Type.NAME) && tokens.look().isOperator("=")) {
        String name = tokens.next().text();
        tokens.next();
        ordered &= !names.contains(name);
        names.add(name);
        named.add(parse());
      } else {
        ordered &= sequence == null && names.isEmpty();
        positional.add(parse());
      }
      if (!ordered) {
        throw tokens.origin().invalid(line, "the arguments of a call are repeated or out of order");
      }
    }
    return new Node.CallArguments(positional, names, named, sequence, mapping);
  }

  /** One or more filters, the first of which follows a "|". */
  private Expr parseFilters(Expr value) {
    Expr node = value;
    int levels = 0;
    while (tokens.skipOperator("|")) {
      node = parseFilter(node);
      tokens.enter();
      levels++;
    }
    tokens.leave(levels);
    return node;
  }

  private Node.Filter parseFilter(Expr value) {
    Token name = tokens.expect(Token.Type.NAME, "the name of a filter");
    String fullName = dotted(name);
    boolean call = tokens.current().isOperator("(");
    return new Node.Filter(name.line(), value, fullName, call ? parseArguments() : Node.CallArguments.NONE);
  }

  private String dotted(Token name) {
    StringBuilder full = new StringBuilder(name.text());
    while (tokens.skipOperator(".")) {
      full.append('.').append(tokens.expect(Token.Type.NAME, "a name").text());
    }
    return full.toString();
  }

  /** The filters of a set or filter block, which apply to the text of its body; null if there are none. */
  Node.Filter parseBlockFilters(boolean startsWithName) {
    Node.Filter filter = startsWithName ? parseFilter(null) : null;
    int levels = 0;
    while (tokens.skipOperator("|")) {
      filter = parseFilter(filter);
      tokens.enter();
      levels++;
    }
    tokens.leave(levels);
    return filter;
  }

  private Expr parseTest(Expr value) {
    int line = tokens.next().line();
    boolean negated = tokens.skipName("not");
    Token name = tokens.expect(Token.Type.NAME, "the name of a test");
    String fullName = dotted(name);
    Node.CallArguments arguments = Node.CallArguments.NONE;
    if (tokens.current().isOperator("(")) {
      arguments = parseArguments();
    } else if (startsTestArgument(tokens.current())) {
      if (tokens.current().isName("is")) {
        throw tokens.origin().invalid(line, "tests with 'is' cannot be chained");
      }
      tokens.enter();
      Expr argument = parsePostfix(parsePrimary(), false);
      tokens.leave(1);
      arguments = new Node.CallArguments(List.of(argument), List.of(), List.of(), null, null);
    }
    Expr test = new Node.Test(line, value, fullName, arguments);
    return negated ? new Node.Unary(line, "not", test) : test;
  }

  private static boolean startsTestArgument(Token token) {
    return switch (token.type()) {
      case NAME -> !token.isName("else") && !token.isName("or") && !token.isName("and");
      case STRING, INTEGER, FLOAT -> true;
      case OPERATOR -> token.isOperator("[") || token.isOperator("{");
      default -> false;
    };
  }
}
