package dev.lanes.token.template;

import dev.lanes.token.template.Node.Expr;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Turns expressions into evaluators. */
final class ExpressionCompiler {
  /** Evaluates the arguments of a call. */
  interface ArgumentsEvaluator {
    Arguments evaluate(Frame frame);
  }

  private final Origin origin;

  ExpressionCompiler(Origin origin) {
    this.origin = origin;
  }

  Evaluator compile(Expr node, Scope scope) {
    if (node instanceof Node.Const constant) {
      Object value = constant.value();
      return frame -> value;
    }
    if (node instanceof Node.Name name) {
      return load(name, scope);
    }
    if (node instanceof Node.Unary unary) {
      return unary(unary, scope);
    }
    if (node instanceof Node.Binary binary) {
      return binary(binary, scope);
    }
    if (node instanceof Node.Concat concat) {
      return concat(concat, scope);
    }
    if (node instanceof Node.Compare compare) {
      return compare(compare, scope);
    }
    if (node instanceof Node.Conditional conditional) {
      return conditional(conditional, scope.conditional());
    }
    if (node instanceof Node.Attribute attribute) {
      Evaluator value = compile(attribute.value(), scope);
      return frame -> Access.attribute(value.evaluate(frame), attribute.name(), frame.render);
    }
    if (node instanceof Node.Item item) {
      Evaluator value = compile(item.value(), scope);
      Evaluator key = compile(item.key(), scope);
      return frame -> Access.item(value.evaluate(frame), key.evaluate(frame), frame.render);
    }
    if (node instanceof Node.Slice slice) {
      return slice(slice, scope);
    }
    if (node instanceof Node.Call call) {
      return call(call, arguments(call.arguments(), scope), scope);
    }
    if (node instanceof Node.Filter filter) {
      return filter(filter, compile(filter.value(), scope), scope);
    }
    if (node instanceof Node.Test test) {
      return test(test, scope);
    }
    return collection(node, scope);
  }

  private Evaluator load(Node.Name node, Scope scope) {
    Symbols.Slot slot = scope.symbols().find(node.name());
    int hops = slot.hops(scope.symbols().function());
    int index = slot.index();
    String name = node.name();
    return frame -> {
      Object value = frame.get(hops, index);
      return value == Undefined.MISSING ? Undefined.name(name) : value;
    };
  }

  private Evaluator collection(Expr node, Scope scope) {
    if (node instanceof Node.TupleOf tuple) {
      List<Evaluator> items = all(tuple.items(), scope);
      return frame -> new Tuple(values(items, frame));
    }
    if (node instanceof Node.ListOf list) {
      List<Evaluator> items = all(list.items(), scope);
      return frame -> values(items, frame);
    }
    if (node instanceof Node.DictOf dict) {
      List<Evaluator> keys = all(dict.keys(), scope);
      List<Evaluator> values = all(dict.values(), scope);
      return frame -> {
        Dict result = new Dict();
        for (int i = 0; i < keys.size(); i++) {
          Object key = keys.get(i).evaluate(frame);
          result.put(key, values.get(i).evaluate(frame), frame.render);
        }
        return result;
      };
    }
    throw new IllegalStateException("no expression: " + node.getClass());
  }

  private List<Evaluator> all(List<? extends Expr> nodes, Scope scope) {
    List<Evaluator> evaluators = new ArrayList<>(nodes.size());
    nodes.forEach(node -> evaluators.add(compile(node, scope)));
    return evaluators;
  }

  private static List<Object> values(List<Evaluator> evaluators, Frame frame) {
    List<Object> values = new ArrayList<>(evaluators.size());
    for (Evaluator evaluator : evaluators) {
      values.add(evaluator.evaluate(frame));
    }
    return values;
  }

  private Evaluator unary(Node.Unary node, Scope scope) {
    Evaluator operand = compile(node.operand(), scope);
    return switch (node.operator()) {
      case "not" -> frame -> !Sequences.truth(operand.evaluate(frame));
      case "-" -> frame -> Arithmetic.negate(operand.evaluate(frame));
      default -> frame -> Arithmetic.plus(operand.evaluate(frame));
    };
  }

  private Evaluator binary(Node.Binary node, Scope scope) {
    Evaluator left = compile(node.left(), scope);
    Evaluator right = compile(node.right(), scope);
    String operator = node.operator();
    return switch (operator) {
      case "and" -> frame -> {
        Object value = left.evaluate(frame);
        return Sequences.truth(value) ? right.evaluate(frame) : value;
      };
      case "or" -> frame -> {
        Object value = left.evaluate(frame);
        return Sequences.truth(value) ? value : right.evaluate(frame);
      };
      default -> frame -> {
        Object value = left.evaluate(frame);
        return Arithmetic.apply(operator, value, right.evaluate(frame), frame.render);
      };
    };
  }

  private Evaluator concat(Node.Concat node, Scope scope) {
    List<Evaluator> parts = all(node.parts(), scope);
    return frame -> {
      Output out = new Output(frame.render);
      for (Object value : values(parts, frame)) {
        out.append(Printer.str(value, frame.render));
      }
      return out.toString();
    };
  }

  private Evaluator compare(Node.Compare node, Scope scope) {
    Evaluator first = compile(node.first(), scope);
    List<Evaluator> operands = all(node.operands(), scope);
    List<String> operators = node.operators();
    return frame -> {
      Object left = first.evaluate(frame);
      for (int i = 0; i < operands.size(); i++) {
        Object right = operands.get(i).evaluate(frame);
        if (!Comparison.apply(operators.get(i), left, right, frame.render)) {
          return false;
        }
        left = right;
      }
      return true;
    };
  }

  private Evaluator conditional(Node.Conditional node, Scope scope) {
    Evaluator test = compile(node.test(), scope);
    Evaluator then = compile(node.then(), scope);
    int line = node.line();
    Evaluator otherwise = node.otherwise() != null ? compile(node.otherwise(), scope)
        : frame -> Undefined.because("the inline if-expression on line " + line + " evaluated to false and no else section was defined");
    return frame -> Sequences.truth(test.evaluate(frame)) ? then.evaluate(frame) : otherwise.evaluate(frame);
  }

  private Evaluator slice(Node.Slice node, Scope scope) {
    Evaluator value = compile(node.value(), scope);
    Evaluator start = optional(node.start(), scope);
    Evaluator stop = optional(node.stop(), scope);
    Evaluator step = optional(node.step(), scope);
    return frame -> {
      Object sliced = value.evaluate(frame);
      return Sequences.slice(sliced, start.evaluate(frame), stop.evaluate(frame), step.evaluate(frame), frame.render);
    };
  }

  private Evaluator optional(Expr node, Scope scope) {
    return node == null ? frame -> null : compile(node, scope);
  }

  ArgumentsEvaluator arguments(Node.CallArguments node, Scope scope) {
    if (node.equals(Node.CallArguments.NONE)) {
      return frame -> Arguments.NONE;
    }
    List<Evaluator> positional = all(node.positional(), scope);
    List<Evaluator> named = all(node.named(), scope);
    List<String> names = node.names();
    Evaluator sequence = node.sequence() == null ? frame -> Undefined.MISSING : compile(node.sequence(), scope);
    Evaluator mapping = node.mapping() == null ? frame -> Undefined.MISSING : compile(node.mapping(), scope);
    return frame -> {
      List<Object> first = values(positional, frame);
      Map<String, Object> byName = named.isEmpty() ? Map.of() : new LinkedHashMap<>();
      for (int i = 0; i < named.size(); i++) {
        byName.put(names.get(i), named.get(i).evaluate(frame));
      }
      return new Arguments(first, byName).expanded(sequence.evaluate(frame), mapping.evaluate(frame), frame.render);
    };
  }

  Evaluator call(Node.Call node, ArgumentsEvaluator arguments, Scope scope) {
    Evaluator callee = compile(node.callee(), scope);
    int line = node.line();
    return frame -> {
      Object value = callee.evaluate(frame);
      Arguments given = arguments.evaluate(frame);
      frame.render.line = line;
      if (value instanceof Undefined undefined) {
        throw undefined.failure();
      }
      if (!(value instanceof Callable callable)) {
        throw new Failure("'" + Types.name(value) + "' object is not callable");
      }
      Object result = callable.call(frame.render, given);
      frame.render.line = line;
      return result;
    };
  }

  /** A filter applied to what {@code value} gives. */
  Evaluator filter(Node.Filter node, Evaluator value, Scope scope) {
    ArgumentsEvaluator arguments = arguments(node.arguments(), scope);
    Filters.Filter filter = Filters.find(node.name());
    if (Filters.isRefused(node.name())) {
      throw origin.unsupported(node.line(), "the filter '" + node.name() + "'");
    }
    if (filter == null) {
      return unknown("filter", node.name(), node.line(), scope);
    }
    return frame -> {
      Object input = value.evaluate(frame);
      return filter.apply(input, arguments.evaluate(frame), frame.render);
    };
  }

  private Evaluator test(Node.Test node, Scope scope) {
    Evaluator value = compile(node.value(), scope);
    ArgumentsEvaluator arguments = arguments(node.arguments(), scope);
    Tests.Test test = Tests.find(node.name());
    if (test == null) {
      return unknown("test", node.name(), node.line(), scope);
    }
    return frame -> {
      Object input = value.evaluate(frame);
      return test.test(input, arguments.evaluate(frame), frame.render);
    };
  }

  private Evaluator unknown(String kind, String name, int line, Scope scope) {
    if (!scope.soft()) {
      throw origin.invalid(line, "no " + kind + " named '" + name + "'");
    }
    return frame -> {
      throw new Failure("no " + kind + " named '" + name + "' found");
    };
  }
}
