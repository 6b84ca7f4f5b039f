package dev.lanes.token.template;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A macro, or the body of a call block, together with the frame it was defined in. */
final class Macro implements Callable, Attributed {
  /**
   * The compiled macro.
   *
   * @param name null for the body of a call block
   * @param parameters declared names
   * @param caller whether the body uses the name, as it is for {@code kwargs} and {@code varargs}
   * @param cost what a call is charged
   */
  record Definition(String name, List<String> parameters, boolean caller, boolean kwargs, boolean varargs, long cost, Body body) {}

  /** Runs a macro with its parameters, which may be {@link Undefined#MISSING}, and what it catches behind them. */
  interface Body {
    String run(Object[] arguments, Frame definedIn);
  }

  private final Definition definition;
  private final Frame definedIn;

  Macro(Definition definition, Frame definedIn) {
    this.definition = definition;
    this.definedIn = definedIn;
  }

  String name() {
    return definition.name;
  }

  @Override
  public String call(Render render, Arguments arguments) {
    List<String> parameters = definition.parameters;
    List<Object> given = arguments.positional();
    Map<String, Object> named = new LinkedHashMap<>(arguments.named());
    Object[] values = new Object[parameters.size() + 3];
    int count = 0;
    // A declared parameter "caller" takes the caller, filled by position only if all parameters are.
    boolean callerFound = given.size() >= parameters.size() && parameters.contains("caller");
    for (int i = 0; i < parameters.size(); i++) {
      if (i < given.size()) {
        values[count++] = given.get(i);
        continue;
      }
      callerFound |= parameters.get(i).equals("caller");
      values[count++] = named.containsKey(parameters.get(i)) ? named.remove(parameters.get(i)) : Undefined.MISSING;
    }
    if (definition.caller && !callerFound) {
      Object caller = named.remove("caller");
      values[count++] = caller == null ? Undefined.because("no caller defined") : caller;
    }
    if (definition.kwargs) {
      Dict rest = new Dict();
      named.forEach((name, value) -> rest.put(name, value, render));
      values[count++] = rest;
    } else if (!named.isEmpty()) {
      throw new Failure("macro '" + name() + "' takes no keyword argument '" + named.keySet().iterator().next() + "'");
    }
    if (definition.varargs) {
      values[count] = new Tuple(given.subList(Math.min(given.size(), parameters.size()), given.size()));
    } else if (given.size() > parameters.size()) {
      throw new Failure("macro '" + name() + "' takes not more than " + parameters.size() + " argument(s)");
    }
    render.enterCall();
    render.charge(definition.cost);
    String text = definition.body.run(values, definedIn);
    render.leaveCall();
    return text;
  }

  @Override
  public Object attribute(String attribute) {
    return switch (attribute) {
      case "name" -> name();
      case "arguments" -> new Tuple(List.copyOf(definition.parameters));
      case "caller" -> definition.caller;
      case "catch_kwargs" -> definition.kwargs;
      case "catch_varargs" -> definition.varargs;
      case "explicit_caller" -> definition.parameters.contains("caller");
      default -> Undefined.MISSING;
    };
  }

  @Override
  public String typeName() {
    return "Macro";
  }
}
