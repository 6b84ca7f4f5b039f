package dev.lanes.token.template;

import dev.lanes.token.template.Node.Expr;
import dev.lanes.token.template.Node.Stmt;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Turns statements into actions. */
final class Compiler {
  /** Stores a value in a variable or, for a tuple, in several. */
  private interface Assigner {
    void assign(Frame frame, Object value);
  }

  private final Origin origin;
  private final ExpressionCompiler expressions;

  private Compiler(Origin origin) {
    this.origin = origin;
    this.expressions = new ExpressionCompiler(origin);
  }

  /** A compiled template: the function that its frame belongs to, and what it does. */
  record Program(Symbols.Function function, Action body, long cost) {}

  static Program compile(List<Stmt> statements, Origin origin) {
    if (!Symbols.undeclared(statements, Set.of("self")).isEmpty()) {
      throw origin.unsupported(statements.get(0).line(), "the variable 'self', which gives access to blocks,");
    }
    Symbols symbols = new Symbols(null, new Symbols.Function(null));
    symbols.analyze(statements);
    Scope scope = new Scope(symbols, false, false);
    Compiler compiler = new Compiler(origin);
    Action enter = compiler.enter(symbols);
    Action body = compiler.block(statements, scope);
    return new Program(symbols.function(), sequence(List.of(enter, body)), cost(statements));
  }

  /** Units of work for running some nodes once. */
  private static long cost(List<? extends Node> nodes) {
    long cost = nodes.size() * Limits.NODE;
    for (Node node : nodes) {
      cost += cost(node.children());
    }
    return cost;
  }

  private static Action sequence(List<Action> actions) {
    Action[] all = actions.toArray(new Action[0]);
    return (frame, out) -> {
      for (Action action : all) {
        Action.Flow flow = action.run(frame, out);
        if (flow != Action.Flow.NEXT) {
          return flow;
        }
      }
      return Action.Flow.NEXT;
    };
  }

  /** Sets the variables of a scope to what they are on entry. */
  private Action enter(Symbols symbols) {
    List<Action> actions = new ArrayList<>();
    symbols.loads().forEach((slot, load) -> {
      int index = slot.index();
      if (load instanceof Symbols.Load.Resolve resolve) {
        actions.add((frame, out) -> {
          frame.set(index, Globals.resolve(resolve.name(), frame.render));
          return Action.Flow.NEXT;
        });
      } else if (load instanceof Symbols.Load.Alias alias) {
        int hops = alias.source().hops(symbols.function());
        int source = alias.source().index();
        actions.add((frame, out) -> {
          frame.set(index, frame.get(hops, source));
          return Action.Flow.NEXT;
        });
      } else if (load instanceof Symbols.Load.Unset) {
        actions.add(unset(index));
      }
    });
    return sequence(actions);
  }

  private static Action unset(int index) {
    return (frame, out) -> {
      frame.set(index, Undefined.MISSING);
      return Action.Flow.NEXT;
    };
  }

  /** Unsets the variables of a scope; only a macro that outlives it can tell. */
  private Action leave(Symbols symbols) {
    return sequence(symbols.loads().keySet().stream().map(slot -> unset(slot.index())).toList());
  }

  private Action block(List<Stmt> statements, Scope scope) {
    List<Action> actions = new ArrayList<>(statements.size());
    statements.forEach(statement -> actions.add(statement(statement, scope)));
    return sequence(actions);
  }

  private Action statement(Stmt node, Scope scope) {
    Action action = action(node, scope);
    int line = node.line();
    return (frame, out) -> {
      frame.render.line = line;
      return action.run(frame, out);
    };
  }

  private Action action(Stmt node, Scope scope) {
    if (node instanceof Node.Output output) {
      return output(output, scope);
    }
    if (node instanceof Node.If branching) {
      return branching(branching, scope);
    }
    if (node instanceof Node.For loop) {
      return loop(loop, scope);
    }
    if (node instanceof Node.Assign assign) {
      Evaluator value = expressions.compile(assign.value(), scope);
      Assigner target = assigner(assign.target(), scope);
      return (frame, out) -> {
        target.assign(frame, value.evaluate(frame));
        return Action.Flow.NEXT;
      };
    }
    if (node instanceof Node.AssignBlock block) {
      return assignBlock(block, scope);
    }
    if (node instanceof Node.Macro macro) {
      Macro.Definition definition = macro(macro, scope);
      int index = scope.symbols().find(macro.name()).index();
      return (frame, out) -> {
        frame.set(index, new Macro(definition, frame));
        return Action.Flow.NEXT;
      };
    }
    if (node instanceof Node.CallBlock block) {
      return callBlock(block, scope);
    }
    if (node instanceof Node.FilterBlock block) {
      return filterBlock(block, scope);
    }
    if (node instanceof Node.With with) {
      return with(with, scope);
    }
    Node.Jump jump = (Node.Jump) node;
    if (!scope.loop()) {
      throw origin.invalid(jump.line(), "'" + (jump.isBreak() ? "break" : "continue") + "' outside of a loop");
    }
    Action.Flow flow = jump.isBreak() ? Action.Flow.BREAK : Action.Flow.CONTINUE;
    return (frame, out) -> flow;
  }

  private Action output(Node.Output node, Scope scope) {
    List<Action> actions = new ArrayList<>();
    for (Expr part : node.parts()) {
      if (part instanceof Node.Data data) {
        String text = data.text();
        actions.add((frame, out) -> {
          out.append(text);
          return Action.Flow.NEXT;
        });
        continue;
      }
      Evaluator value = expressions.compile(part, scope);
      int line = part.line();
      actions.add((frame, out) -> {
        frame.render.line = line;
        out.append(Printer.str(value.evaluate(frame), frame.render));
        return Action.Flow.NEXT;
      });
    }
    return sequence(actions);
  }

  private Action branching(Node.If node, Scope outer) {
    Scope scope = outer.conditional();
    List<Evaluator> tests = new ArrayList<>();
    List<Action> bodies = new ArrayList<>();
    tests.add(expressions.compile(node.test(), scope));
    bodies.add(block(node.body(), scope));
    for (Node.If elif : node.elifs()) {
      tests.add(expressions.compile(elif.test(), scope));
      bodies.add(block(elif.body(), scope));
    }
    Action otherwise = block(node.otherwise(), scope);
    return (frame, out) -> {
      for (int i = 0; i < tests.size(); i++) {
        if (Sequences.truth(tests.get(i).evaluate(frame))) {
          return bodies.get(i).run(frame, out);
        }
      }
      return otherwise.run(frame, out);
    };
  }

  private Assigner assigner(Expr target, Scope scope) {
    if (target instanceof Node.Name name) {
      int index = scope.symbols().find(name.name()).index();
      return (frame, value) -> frame.set(index, value);
    }
    if (target instanceof Node.TupleOf tuple) {
      List<Assigner> parts = tuple.items().stream().map(item -> assigner(item, scope)).toList();
      return (frame, value) -> {
        Object[] values = Sequences.unpack(value, parts.size(), frame.render);
        for (int i = 0; i < values.length; i++) {
          parts.get(i).assign(frame, values[i]);
        }
      };
    }
    Node.NamespaceTarget attribute = (Node.NamespaceTarget) target;
    Evaluator holder = expressions.compile(new Node.Name(attribute.line(), attribute.name(), Node.Use.LOAD), scope);
    return (frame, value) -> {
      if (!(holder.evaluate(frame) instanceof Namespace namespace)) {
        throw new Failure("cannot assign attribute on non-namespace object");
      }
      namespace.set(attribute.attribute(), value, frame.render);
    };
  }

  private Action with(Node.With node, Scope scope) {
    Scope inner = scope.inner();
    inner.symbols().analyze(node.targets());
    inner.symbols().analyze(node.body());
    List<Action> actions = new ArrayList<>();
    actions.add(enter(inner.symbols()));
    for (int i = 0; i < node.targets().size(); i++) {
      Evaluator value = expressions.compile(node.values().get(i), scope);
      Assigner target = assigner(node.targets().get(i), inner);
      actions.add((frame, out) -> {
        target.assign(frame, value.evaluate(frame));
        return Action.Flow.NEXT;
      });
    }
    actions.add(block(node.body(), inner));
    actions.add(leave(inner.symbols()));
    return sequence(actions);
  }

  /** The statements of a set or filter block run into a text, and that text through filters; null stands for no filter. */
  private record Captured(Action body, Evaluator result, int text, Action leave) {}

  private Captured capture(List<Stmt> body, Node.Filter filter, Scope scope) {
    Scope inner = scope.inner();
    inner.symbols().analyze(body);
    if (filter != null) {
      inner.symbols().analyze(filter);
    }
    int text = inner.symbols().function().newSlot().index();
    Evaluator captured = frame -> frame.get(0, text);
    Action run = sequence(List.of(enter(inner.symbols()), block(body, inner)));
    return new Captured(run, filter == null ? captured : filters(filter, captured, inner), text, leave(inner.symbols()));
  }

  /** A chain of filters whose innermost one takes the captured text. */
  private Evaluator filters(Node.Filter filter, Evaluator captured, Scope scope) {
    Evaluator input = filter.value() == null ? captured : filters((Node.Filter) filter.value(), captured, scope);
    return expressions.filter(filter, input, scope);
  }

  private Action assignBlock(Node.AssignBlock node, Scope scope) {
    Captured block = capture(node.body(), node.filter(), scope);
    Assigner target = assigner(node.target(), scope);
    return (frame, out) -> {
      Output text = new Output(frame.render);
      Action.Flow flow = block.body.run(frame, text);
      if (flow != Action.Flow.NEXT) {
        return flow;
      }
      frame.set(block.text, text.toString());
      target.assign(frame, block.result.evaluate(frame));
      return block.leave.run(frame, out);
    };
  }

  private Action filterBlock(Node.FilterBlock node, Scope scope) {
    Captured block = capture(node.body(), node.filter(), scope);
    return (frame, out) -> {
      Output text = new Output(frame.render);
      Action.Flow flow = block.body.run(frame, text);
      if (flow != Action.Flow.NEXT) {
        return flow;
      }
      frame.set(block.text, text.toString());
      print(block.result.evaluate(frame), out);
      return block.leave.run(frame, out);
    };
  }

  /** Prints what Jinja writes without turning it into a string first. */
  private static void print(Object value, Output out) {
    if (!Strings.is(value)) {
      throw new Failure("expected str instance, " + Types.name(value) + " found");
    }
    out.append(Strings.text(value));
  }

  private Action callBlock(Node.CallBlock node, Scope scope) {
    Macro.Definition definition = macro(node.body(), scope);
    if (node.call() == null) {
      return (frame, out) -> {
        out.append(new Macro(definition, frame).call(frame.render, Arguments.NONE));
        return Action.Flow.NEXT;
      };
    }
    ExpressionCompiler.ArgumentsEvaluator given = expressions.arguments(node.call().arguments(), scope);
    Evaluator call = expressions.call(node.call(), frame -> given.evaluate(frame).with("caller", new Macro(definition, frame)), scope);
    return (frame, out) -> {
      print(call.evaluate(frame), out);
      return Action.Flow.NEXT;
    };
  }

  private Macro.Definition macro(Node.Macro node, Scope outer) {
    Scope scope = outer.function();
    Symbols symbols = scope.symbols();
    List<String> names = node.parameters().names().stream().map(Node.Name::name).toList();
    symbols.analyze(node.parameters().names());
    symbols.analyze(node.parameters().defaults());
    symbols.analyze(node.body());
    Set<String> special = Symbols.undeclared(node.body(), Set.of("caller", "kwargs", "varargs"));
    if (names.contains("caller") && special.contains("caller") && node.parameters().defaultOf(names.indexOf("caller")) == null) {
      throw origin.invalid(node.line(), "the special parameter 'caller' must be omitted or have a default");
    }
    List<Integer> slots = new ArrayList<>();
    names.forEach(name -> slots.add(symbols.find(name).index()));
    for (String name : List.of("caller", "kwargs", "varargs")) {
      if (special.contains(name) && !names.contains(name)) {
        slots.add(symbols.declareParameter(name).index());
      }
    }
    Action prologue = sequence(List.of(enter(symbols), defaults(node.parameters(), names, scope)));
    Action body = block(node.body(), scope);
    Symbols.Function function = symbols.function();
    Macro.Body run = (arguments, definedIn) -> {
      Frame frame = new Frame(function, definedIn, definedIn.render);
      for (int i = 0; i < slots.size(); i++) {
        frame.set(slots.get(i), arguments[i]);
      }
      Output out = new Output(definedIn.render);
      prologue.run(frame, out);
      body.run(frame, out);
      return out.toString();
    };
    return new Macro.Definition(node.name(), names, special.contains("caller"), special.contains("kwargs") && !names.contains("kwargs"),
        special.contains("varargs") && !names.contains("varargs"), cost(List.of(node)), run);
  }

  /** Gives parameters that were left out their defaults, in order: a default may use the parameters before it. */
  private Action defaults(Node.Parameters parameters, List<String> names, Scope scope) {
    List<Action> actions = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      int index = scope.symbols().find(names.get(i)).index();
      String message = "parameter '" + names.get(i) + "' was not provided";
      Expr node = parameters.defaultOf(i);
      Evaluator value = node == null ? frame -> Undefined.because(message) : expressions.compile(node, scope);
      actions.add((frame, out) -> {
        if (frame.get(0, index) == Undefined.MISSING) {
          frame.set(index, value.evaluate(frame));
        }
        return Action.Flow.NEXT;
      });
    }
    return sequence(actions);
  }

  private Action loop(Node.For node, Scope outer) {
    if (assignsLoop(node)) {
      throw origin.invalid(node.line(), "cannot assign to the special variable 'loop' inside a for loop");
    }
    Scope base = node.recursive() ? outer.function() : outer.inner();
    Symbols symbols = base.symbols();
    boolean extended = node.recursive() || !Symbols.undeclared(node.body(), Set.of("loop")).isEmpty();
    int loopSlot = extended ? symbols.declareParameter("loop").index() : -1;
    symbols.declareTarget(node.target());
    symbols.analyze(node.body());
    Scope scope = base.looping();
    Symbols otherwise = new Symbols(outer.symbols(), symbols.function());
    otherwise.analyze(node.otherwise());
    Scope otherwiseScope = new Scope(otherwise, false, !node.recursive() && outer.loop());
    Loop loop = new Loop(
        expressions.compile(node.iterable(), outer),
        assigner(node.target(), scope)::assign,
        condition(node, outer),
        loopSlot,
        sequence(List.of(enter(symbols), block(node.body(), scope))),
        leave(symbols),
        node.otherwise().isEmpty() ? null
            : sequence(List.of(enter(otherwise), block(node.otherwise(), otherwiseScope), leave(otherwise))),
        cost(List.of(node)),
        node.line());
    return node.recursive() ? loop.recursive(symbols.function()) : loop;
  }

  /** The condition of a loop, a function of its own, or null. */
  private Loop.Condition condition(Node.For node, Scope outer) {
    if (node.test() == null) {
      return null;
    }
    Scope scope = outer.function();
    scope.symbols().declareTarget(node.target());
    scope.symbols().analyze(node.test());
    Assigner target = assigner(node.target(), scope);
    Action enter = enter(scope.symbols());
    Evaluator test = expressions.compile(node.test(), scope);
    Evaluator element = expressions.compile(asLoad(node.target()), scope);
    Symbols.Function function = scope.symbols().function();
    return (value, definedIn) -> {
      Frame frame = new Frame(function, definedIn, definedIn.render);
      enter.run(frame, null);
      target.assign(frame, value);
      // Tuple targets make a new tuple, whatever kind of sequence the element was.
      return Sequences.truth(test.evaluate(frame)) ? element.evaluate(frame) : Undefined.MISSING;
    };
  }

  private static Expr asLoad(Expr target) {
    if (target instanceof Node.TupleOf tuple) {
      return new Node.TupleOf(tuple.line(), tuple.items().stream().map(Compiler::asLoad).toList());
    }
    return new Node.Name(target.line(), ((Node.Name) target).name(), Node.Use.LOAD);
  }

  private static boolean assignsLoop(Node node) {
    return node instanceof Node.Name name && name.use() == Node.Use.STORE && name.name().equals("loop")
        || node.children().stream().anyMatch(Compiler::assignsLoop);
  }
}
