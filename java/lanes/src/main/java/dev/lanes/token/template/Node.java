package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The syntax tree. Children come in the order in which Jinja's own analyses visit them, which decides what a name refers to. */
sealed interface Node {
  /** Line of the template, from 1. */
  int line();

  /** Direct children, none of them null. */
  List<Node> children();

  /** An expression. */
  sealed interface Expr extends Node {}

  /** A statement. */
  sealed interface Stmt extends Node {}

  /** What is done to a name. */
  enum Use { LOAD, STORE, PARAMETER }

  // Expressions.

  record Const(int line, Object value) implements Expr {
    @Override
    public List<Node> children() {
      return List.of();
    }
  }

  /** Template text between tags. */
  record Data(int line, String text) implements Expr {
    @Override
    public List<Node> children() {
      return List.of();
    }
  }

  record Name(int line, String name, Use use) implements Expr {
    @Override
    public List<Node> children() {
      return List.of();
    }
  }

  /** {@code namespace.attribute} as the target of a set. */
  record NamespaceTarget(int line, String name, String attribute) implements Expr {
    @Override
    public List<Node> children() {
      return List.of();
    }
  }

  record TupleOf(int line, List<Expr> items) implements Expr {
    @Override
    public List<Node> children() {
      return List.copyOf(items);
    }
  }

  record ListOf(int line, List<Expr> items) implements Expr {
    @Override
    public List<Node> children() {
      return List.copyOf(items);
    }
  }

  record DictOf(int line, List<Expr> keys, List<Expr> values) implements Expr {
    @Override
    public List<Node> children() {
      List<Node> children = new ArrayList<>();
      for (int i = 0; i < keys.size(); i++) {
        children.add(keys.get(i));
        children.add(values.get(i));
      }
      return children;
    }
  }

  /** {@code + -} or {@code not}. */
  record Unary(int line, String operator, Expr operand) implements Expr {
    @Override
    public List<Node> children() {
      return List.of(operand);
    }
  }

  /** Arithmetic, {@code and} or {@code or}. */
  record Binary(int line, String operator, Expr left, Expr right) implements Expr {
    @Override
    public List<Node> children() {
      return List.of(left, right);
    }
  }

  /** {@code a ~ b ~ c}. */
  record Concat(int line, List<Expr> parts) implements Expr {
    @Override
    public List<Node> children() {
      return List.copyOf(parts);
    }
  }

  /** {@code first op operand op operand}, chained as in Python. */
  record Compare(int line, Expr first, List<String> operators, List<Expr> operands) implements Expr {
    @Override
    public List<Node> children() {
      return concat(List.of(first), operands);
    }
  }

  /** {@code then if test else otherwise}; otherwise may be null. */
  record Conditional(int line, Expr test, Expr then, Expr otherwise) implements Expr {
    @Override
    public List<Node> children() {
      return present(test, then, otherwise);
    }
  }

  record Attribute(int line, Expr value, String name) implements Expr {
    @Override
    public List<Node> children() {
      return List.of(value);
    }
  }

  record Item(int line, Expr value, Expr key) implements Expr {
    @Override
    public List<Node> children() {
      return List.of(value, key);
    }
  }

  /** {@code value[start:stop:step]}; each bound may be null. */
  record Slice(int line, Expr value, Expr start, Expr stop, Expr step) implements Expr {
    @Override
    public List<Node> children() {
      return present(value, start, stop, step);
    }
  }

  /** Arguments of a call; the two expansions may be null. */
  record CallArguments(List<Expr> positional, List<String> names, List<Expr> named, Expr sequence, Expr mapping) {
    static final CallArguments NONE = new CallArguments(List.of(), List.of(), List.of(), null, null);

    private List<Node> children() {
      return concat(concat(positional, named), present(sequence, mapping));
    }
  }

  record Call(int line, Expr callee, CallArguments arguments) implements Expr {
    @Override
    public List<Node> children() {
      return concat(List.of(callee), arguments.children());
    }
  }

  /** {@code value | name(arguments)}; the value is null for the text of a filter or set block. */
  record Filter(int line, Expr value, String name, CallArguments arguments) implements Expr {
    @Override
    public List<Node> children() {
      return concat(present(value), arguments.children());
    }
  }

  /** {@code value is name(arguments)}. */
  record Test(int line, Expr value, String name, CallArguments arguments) implements Expr {
    @Override
    public List<Node> children() {
      return concat(List.of(value), arguments.children());
    }
  }

  // Statements.

  record Output(int line, List<Expr> parts) implements Stmt {
    @Override
    public List<Node> children() {
      return List.copyOf(parts);
    }
  }

  /** {@code test} may be null. */
  record For(int line, Expr target, Expr iterable, List<Stmt> body, List<Stmt> otherwise, Expr test, boolean recursive)
      implements Stmt {
    @Override
    public List<Node> children() {
      return concat(concat(List.of(target, iterable), body), concat(otherwise, present(test)));
    }
  }

  /** One condition; {@code elif} branches are If statements without such branches of their own. */
  record If(int line, Expr test, List<Stmt> body, List<If> elifs, List<Stmt> otherwise) implements Stmt {
    @Override
    public List<Node> children() {
      return concat(concat(List.of(test), body), concat(elifs, otherwise));
    }
  }

  /** Parameters of a macro or call block; the defaults belong to the last of them. */
  record Parameters(List<Name> names, List<Expr> defaults) {
    static final Parameters NONE = new Parameters(List.of(), List.of());

    /** The default of a parameter, or null. */
    Expr defaultOf(int index) {
      int i = index - (names.size() - defaults.size());
      return i < 0 ? null : defaults.get(i);
    }

    private List<Node> children() {
      return concat(names, defaults);
    }
  }

  /** A macro, or the anonymous macro that is the body of a call block ({@code name} null). */
  record Macro(int line, String name, Parameters parameters, List<Stmt> body) implements Stmt {
    @Override
    public List<Node> children() {
      return concat(parameters.children(), body);
    }
  }

  /** {@code call}, or for a {@code generation} block null: its body is called and printed at once. */
  record CallBlock(int line, Call call, Macro body) implements Stmt {
    @Override
    public List<Node> children() {
      return concat(present(call), body.children());
    }
  }

  record FilterBlock(int line, List<Stmt> body, Filter filter) implements Stmt {
    @Override
    public List<Node> children() {
      return concat(body, List.of(filter));
    }
  }

  record With(int line, List<Expr> targets, List<Expr> values, List<Stmt> body) implements Stmt {
    @Override
    public List<Node> children() {
      return concat(concat(targets, values), body);
    }
  }

  record Assign(int line, Expr target, Expr value) implements Stmt {
    @Override
    public List<Node> children() {
      return List.of(target, value);
    }
  }

  /** {@code set} with a body; the filter may be null. */
  record AssignBlock(int line, Expr target, Filter filter, List<Stmt> body) implements Stmt {
    @Override
    public List<Node> children() {
      return concat(concat(List.of(target), present(filter)), body);
    }
  }

  /** {@code break} or {@code continue}. */
  record Jump(int line, boolean isBreak) implements Stmt {
    @Override
    public List<Node> children() {
      return List.of();
    }
  }

  private static List<Node> concat(List<? extends Node> first, List<? extends Node> second) {
    List<Node> all = new ArrayList<>(first.size() + second.size());
    all.addAll(first);
    all.addAll(second);
    return all;
  }

  private static List<Node> present(Node... nodes) {
    List<Node> present = new ArrayList<>(Arrays.asList(nodes));
    present.removeIf(node -> node == null);
    return present;
  }
}
