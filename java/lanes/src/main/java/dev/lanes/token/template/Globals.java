package dev.lanes.token.template;

import java.math.BigInteger;
import java.util.Map;

/** Functions that every template sees: Jinja's own and the two of Hugging Face. Variables of the rendering hide them. */
final class Globals {
  private static final Map<String, Object> FUNCTIONS = Map.of(
      "range", new Builtin("range", Globals::range),
      "dict", new Builtin("dict", Globals::dict),
      "namespace", new Builtin("namespace", (render, arguments) -> new Namespace(dict(render, arguments))),
      "cycler", new Builtin("cycler", (render, arguments) -> {
        if (!arguments.named().isEmpty()) {
          throw new Failure("cycler() takes no keyword arguments");
        }
        return new Cycler(arguments.positional());
      }),
      "joiner", new Builtin("joiner", (render, arguments) -> new Joiner(Arguments.or(arguments.bind("joiner", "sep?")[0], ", "))),
      "lipsum", new Builtin("lipsum", (render, arguments) -> {
        throw Failure.unsupported("lipsum(), which makes random text");
      }),
      "raise_exception", new Builtin("raise_exception", (render, arguments) -> {
        throw Failure.raised(Printer.str(arguments.bind("raise_exception", "message")[0], render));
      }),
      "strftime_now", new Builtin("strftime_now", (render, arguments) -> {
        String format = Strings.argument(arguments.bind("strftime_now", "format")[0], "strftime_now");
        return Strftime.format(format, render.clock);
      }));

  private Globals() {}

  /** A variable of the rendering or a global function, or {@link Undefined#MISSING}. */
  static Object resolve(String name, Render render) {
    if (render.variables.containsKey(name)) {
      return render.variables.get(name);
    }
    return FUNCTIONS.getOrDefault(name, Undefined.MISSING);
  }

  private static Object range(Render render, Arguments arguments) {
    Object[] values = arguments.bind("range", "/start", "/stop?", "/step?");
    boolean single = values[1] == Undefined.MISSING;
    long start = single ? 0 : bound(values[0]);
    long stop = bound(single ? values[0] : values[1]);
    return Range.of(start, stop, bound(Arguments.or(values[2], 1L)));
  }

  private static long bound(Object value) {
    if (value instanceof BigInteger) {
      throw new Failure("range() with an integer of more than 64 bits");
    }
    return Numbers.index(value, "range");
  }

  private static Dict dict(Render render, Arguments arguments) {
    Dict result = new Dict();
    if (arguments.positional().size() > 1) {
      throw new Failure("dict expected at most 1 argument, got " + arguments.positional().size());
    }
    for (Object source : arguments.positional()) {
      if (source instanceof Dict dict) {
        result.putAll(dict, render);
        continue;
      }
      if (source instanceof Undefined) {
        // Python asks for the method keys() first, which Undefined refuses.
        throw ((Undefined) source).failure();
      }
      for (Object pair : Sequences.toList(source, render)) {
        Object[] items = Sequences.unpack(pair, 2, render);
        result.put(items[0], items[1], render);
      }
    }
    arguments.named().forEach((name, value) -> result.put(name, value, render));
    return result;
  }
}
