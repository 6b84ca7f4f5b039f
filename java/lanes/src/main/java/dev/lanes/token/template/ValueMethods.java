package dev.lanes.token.template;

import java.math.BigInteger;
import java.util.List;
import java.util.Set;

/** Attributes of dicts, sequences and numbers; an attribute that Python has and this engine has not is refused. */
final class ValueMethods {
  private static final Set<String> REFUSED_OF_NUMBERS =
      Set.of("as_integer_ratio", "bit_count", "conjugate", "from_bytes", "fromhex", "hex", "imag", "is_integer", "numerator",
          "denominator", "real", "to_bytes");

  private ValueMethods() {}

  static Object ofDict(Dict dict, String name) {
    return switch (name) {
      case "get" -> method(name, (render, arguments) -> {
        Object[] values = arguments.bind(name, "/key", "/default?");
        Object value = dict.get(values[0], render);
        return value == Undefined.MISSING ? Arguments.or(values[1], null) : value;
      });
      case "items" -> view(name, dict, DictView.Kind.ITEMS);
      case "keys" -> view(name, dict, DictView.Kind.KEYS);
      case "values" -> view(name, dict, DictView.Kind.VALUES);
      case "copy" -> method(name, (render, arguments) -> {
        arguments.bind(name);
        return dict;
      });
      case "fromkeys" -> method(name, (render, arguments) -> {
        Object[] values = arguments.bind(name, "/iterable", "/value?");
        Dict result = new Dict();
        for (Object key : Sequences.toList(values[0], render)) {
          result.put(key, Arguments.or(values[1], null), render);
        }
        return result;
      });
      default -> Undefined.MISSING;
    };
  }

  private static Object view(String name, Dict dict, DictView.Kind kind) {
    return method(name, (render, arguments) -> {
      arguments.bind(name);
      return new DictView(dict, kind);
    });
  }

  /** Of list, tuple and range. */
  static Object ofSequence(Object sequence, String name) {
    if (sequence instanceof Range range) {
      switch (name) {
        case "start":
          return range.start();
        case "stop":
          return range.stop();
        case "step":
          return range.step();
        default:
      }
    }
    return switch (name) {
      case "count" -> method(name, (render, arguments) -> {
        Object wanted = arguments.bind(name, "/value")[0];
        long count = 0;
        for (Object item : Sequences.toList(sequence, render)) {
          count += item == wanted || Comparison.equal(item, wanted, render) ? 1 : 0;
        }
        return count;
      });
      case "index" -> method(name, (render, arguments) -> index(sequence, arguments, render));
      case "copy" -> sequence instanceof List ? method(name, (render, arguments) -> {
        arguments.bind(name);
        return sequence;
      }) : Undefined.MISSING;
      default -> Undefined.MISSING;
    };
  }

  private static Object index(Object sequence, Arguments arguments, Render render) {
    Object[] values = arguments.bind("index", "/value", "/start?", "/stop?");
    List<Object> items = Sequences.toList(sequence, render);
    long start = bound(values[1], 0, items.size());
    long stop = bound(values[2], items.size(), items.size());
    for (long i = start; i < stop && i < items.size(); i++) {
      Object item = items.get((int) i);
      if (item == values[0] || Comparison.equal(item, values[0], render)) {
        return i;
      }
    }
    throw new Failure(Types.name(sequence) + ".index(x): x not in " + Types.name(sequence));
  }

  private static long bound(Object value, long missing, long length) {
    if (value == Undefined.MISSING) {
      return missing;
    }
    long index = Numbers.index(value, "index");
    return index < 0 ? Math.max(0, index + length) : index;
  }

  static Object ofNumber(Object number, String name) {
    if (number instanceof Double value) {
      if (name.equals("is_integer")) {
        return method(name, (render, arguments) -> {
          arguments.bind(name);
          return !Double.isInfinite(value) && value == Math.rint(value);
        });
      }
    } else if (name.equals("bit_length")) {
      return method(name, (render, arguments) -> {
        arguments.bind(name);
        BigInteger magnitude = Numbers.big(number).abs();
        return (long) magnitude.bitLength();
      });
    }
    if (REFUSED_OF_NUMBERS.contains(name)) {
      throw Failure.unsupported("attribute '" + name + "' of " + Types.name(number));
    }
    return Undefined.MISSING;
  }

  /** Of dict views and generators. */
  static Object ofIterable(Object iterable, String name) {
    boolean exists = iterable instanceof DictView ? Set.of("isdisjoint", "mapping").contains(name)
        : Set.of("close", "send", "throw").contains(name) || name.startsWith("gi_");
    if (exists) {
      throw Failure.unsupported("attribute '" + name + "' of " + Types.name(iterable));
    }
    return Undefined.MISSING;
  }

  private static Builtin method(String name, Callable body) {
    return new Builtin(name, body);
  }
}
