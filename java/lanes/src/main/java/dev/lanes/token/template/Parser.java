package dev.lanes.token.template;

import dev.lanes.token.template.Node.Expr;
import dev.lanes.token.template.Node.Stmt;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Parses the statements of a template. */
final class Parser {
  private static final Set<String> OTHER_TAGS =
      Set.of("autoescape", "block", "debug", "do", "extends", "from", "import", "include", "pluralize", "trans");

  private final TokenStream tokens;
  private final ExpressionParser expressions;

  private Parser(TokenStream tokens) {
    this.tokens = tokens;
    this.expressions = new ExpressionParser(tokens);
  }

  static List<Stmt> parse(String source, Origin origin) {
    return new Parser(new TokenStream(Lexer.tokenize(source, origin), origin)).parseBody();
  }

  /** Statements up to one of the end tags, whose name is the current token afterwards; without end tags the whole template. */
  private List<Stmt> parseBody(String... ends) {
    int begin = tokens.line();
    tokens.enter();
    List<Stmt> body = new ArrayList<>();
    List<Expr> output = new ArrayList<>();
    while (!tokens.current().is(Token.Type.END)) {
      Token token = tokens.next();
      switch (token.type()) {
        case DATA -> output.add(new Node.Data(token.line(), token.text()));
        case VARIABLE_BEGIN -> {
          output.add(expressions.parseTuple());
          tokens.expect(Token.Type.VARIABLE_END, "'}}'");
        }
        default -> {
          flush(output, body);
          if (tokens.current().is(Token.Type.NAME) && List.of(ends).contains(tokens.current().text())) {
            tokens.leave(1);
            return body;
          }
          body.add(parseStatement());
          tokens.expect(Token.Type.BLOCK_END, "'%}'");
        }
      }
    }
    if (ends.length > 0) {
      throw tokens.origin().invalid(begin, "the tag is never closed by '" + ends[ends.length - 1] + "'");
    }
    flush(output, body);
    tokens.leave(1);
    return body;
  }

  private static void flush(List<Expr> output, List<Stmt> body) {
    if (!output.isEmpty()) {
      body.add(new Node.Output(output.get(0).line(), List.copyOf(output)));
      output.clear();
    }
  }

  /** The body of a tag whose head has been read; afterwards the current token is the name of the end tag. */
  private List<Stmt> parseBlock(String... ends) {
    tokens.skipOperator(":");
    tokens.expect(Token.Type.BLOCK_END, "'%}'");
    return parseBody(ends);
  }

  private List<Stmt> parseBlockToEnd(String end) {
    List<Stmt> body = parseBlock(end);
    tokens.next();
    return body;
  }

  private Stmt parseStatement() {
    Token tag = tokens.expect(Token.Type.NAME, "the name of a tag");
    int line = tag.line();
    return switch (tag.text()) {
      case "for" -> parseFor(line);
      case "if" -> parseIf(line);
      case "set" -> parseSet(line);
      case "with" -> parseWith(line);
      case "macro" -> parseMacro(line);
      case "call" -> parseCall(line);
      case "filter" -> {
        Node.Filter filter = expressions.parseBlockFilters(true);
        yield new Node.FilterBlock(line, parseBlockToEnd("endfilter"), filter);
      }
      case "generation" -> {
        List<Stmt> body = parseBlockToEnd("endgeneration");
        yield new Node.CallBlock(line, null, new Node.Macro(line, null, Node.Parameters.NONE, body));
      }
      case "print" -> parsePrint(line);
      case "break" -> new Node.Jump(line, true);
      case "continue" -> new Node.Jump(line, false);
      default -> throw OTHER_TAGS.contains(tag.text())
          ? tokens.origin().unsupported(line, "the tag '" + tag.text() + "'")
          : tokens.origin().invalid(line, "unknown or misplaced tag '" + tag.text() + "'");
    };
  }

  private Stmt parseFor(int line) {
    Expr target = expressions.parseTarget("in", false);
    if (!tokens.skipName("in")) {
      throw tokens.unexpected("'in'");
    }
    Expr iterable = expressions.parseIterable();
    Expr test = tokens.skipName("if") ? expressions.parse() : null;
    boolean recursive = tokens.skipName("recursive");
    List<Stmt> body = parseBlock("else", "endfor");
    List<Stmt> otherwise = tokens.next().isName("else") ? parseBlockToEnd("endfor") : List.of();
    return new Node.For(line, target, iterable, body, otherwise, test, recursive);
  }

  private Stmt parseIf(int line) {
    Expr test = expressions.parseCondition();
    List<Stmt> body = parseBlock("elif", "else", "endif");
    List<Node.If> elifs = new ArrayList<>();
    List<Stmt> otherwise = List.of();
    Token end = tokens.next();
    while (end.isName("elif")) {
      Expr elifTest = expressions.parseCondition();
      elifs.add(new Node.If(end.line(), elifTest, parseBlock("elif", "else", "endif"), List.of(), List.of()));
      end = tokens.next();
    }
    if (end.isName("else")) {
      otherwise = parseBlockToEnd("endif");
    }
    return new Node.If(line, test, body, elifs, otherwise);
  }

  private Stmt parseSet(int line) {
    Expr target = expressions.parseTarget(null, true);
    if (tokens.skipOperator("=")) {
      return new Node.Assign(line, target, expressions.parseTuple());
    }
    Node.Filter filter = expressions.parseBlockFilters(false);
    return new Node.AssignBlock(line, target, filter, parseBlockToEnd("endset"));
  }

  private Stmt parseWith(int line) {
    List<Expr> targets = new ArrayList<>();
    List<Expr> values = new ArrayList<>();
    while (!tokens.current().is(Token.Type.BLOCK_END)) {
      if (!targets.isEmpty()) {
        tokens.expectOperator(",");
      }
      targets.add(asParameter(expressions.parseTarget(null, false)));
      tokens.expectOperator("=");
      values.add(expressions.parse());
    }
    return new Node.With(line, targets, values, parseBlockToEnd("endwith"));
  }

  private static Expr asParameter(Expr target) {
    if (target instanceof Node.TupleOf tuple) {
      return new Node.TupleOf(tuple.line(), tuple.items().stream().map(Parser::asParameter).toList());
    }
    Node.Name name = (Node.Name) target;
    return new Node.Name(name.line(), name.name(), Node.Use.PARAMETER);
  }

  private Node.Parameters parseParameters() {
    List<Node.Name> names = new ArrayList<>();
    List<Expr> defaults = new ArrayList<>();
    tokens.expectOperator("(");
    while (!tokens.skipOperator(")")) {
      if (!names.isEmpty()) {
        tokens.expectOperator(",");
      }
      Node.Name name = expressions.parseName(Node.Use.PARAMETER);
      if (names.stream().anyMatch(other -> other.name().equals(name.name()))) {
        throw tokens.origin().invalid(name.line(), "the parameter '" + name.name() + "' occurs twice");
      }
      names.add(name);
      if (tokens.skipOperator("=")) {
        defaults.add(expressions.parse());
      } else if (!defaults.isEmpty()) {
        throw tokens.origin().invalid(name.line(), "the parameter '" + name.name() + "' needs a default, like those before it");
      }
    }
    return new Node.Parameters(names, defaults);
  }

  private Stmt parseMacro(int line) {
    String name = expressions.parseName(Node.Use.STORE).name();
    Node.Parameters parameters = parseParameters();
    return new Node.Macro(line, name, parameters, parseBlockToEnd("endmacro"));
  }

  private Stmt parseCall(int line) {
    Node.Parameters parameters = tokens.current().isOperator("(") ? parseParameters() : Node.Parameters.NONE;
    if (!(expressions.parse() instanceof Node.Call call)) {
      throw tokens.origin().invalid(line, "expected a call behind 'call'");
    }
    return new Node.CallBlock(line, call, new Node.Macro(line, null, parameters, parseBlockToEnd("endcall")));
  }

  private Stmt parsePrint(int line) {
    List<Expr> parts = new ArrayList<>();
    while (!tokens.current().is(Token.Type.BLOCK_END)) {
      if (!parts.isEmpty()) {
        tokens.expectOperator(",");
      }
      parts.add(expressions.parse());
    }
    return new Node.Output(line, parts);
  }
}
