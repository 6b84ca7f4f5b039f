package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/** The {@code loop} variable of a for loop, and the loop's iterator: it knows one element ahead, and the length when asked. */
final class LoopContext implements Callable, Attributed, Iterator<Object> {
  /** Renders the body of a recursive loop over an inner iterable. */
  interface Recursion {
    String render(Object iterable, long depth);
  }

  private final Object iterable;
  private final Recursion recursion;
  private final long depth;
  private final Render render;
  private Iterator<Object> elements;
  private long index0 = -1;
  private long length = -1;
  private Object previous = Undefined.MISSING;
  private Object current = Undefined.MISSING;
  private Object following = Undefined.MISSING;
  private List<Object> lastChanged;

  /**
   * @param iterable what is looped over: a value, or a {@link Generator} if the loop has a condition
   * @param recursion null if the loop is not recursive
   * @param depth levels of recursion, from 0
   */
  LoopContext(Object iterable, Recursion recursion, long depth, Render render) {
    this.iterable = iterable;
    this.recursion = recursion;
    this.depth = depth;
    this.render = render;
    this.elements = Sequences.iterate(iterable, render);
  }

  @Override
  public boolean hasNext() {
    return following != Undefined.MISSING || elements.hasNext();
  }

  @Override
  public Object next() {
    Object next = following == Undefined.MISSING ? elements.next() : following;
    following = Undefined.MISSING;
    index0++;
    previous = current;
    current = next;
    return next;
  }

  private boolean peek() {
    if (following == Undefined.MISSING && elements.hasNext()) {
      following = elements.next();
    }
    return following != Undefined.MISSING;
  }

  long length() {
    if (length < 0) {
      length = Sequences.length(iterable);
    }
    if (length < 0) {
      List<Object> rest = new ArrayList<>();
      while (elements.hasNext()) {
        render.charge(Limits.ELEMENT);
        rest.add(elements.next());
      }
      elements = rest.iterator();
      length = rest.size() + index0 + 1 + (following == Undefined.MISSING ? 0 : 1);
    }
    return length;
  }

  @Override
  public Object attribute(String name) {
    return switch (name) {
      case "index" -> index0 + 1;
      case "index0" -> index0;
      case "first" -> index0 == 0;
      case "last" -> !peek();
      case "length" -> length();
      case "revindex" -> length() - index0;
      case "revindex0" -> length() - index0 - 1;
      case "depth" -> depth + 1;
      case "depth0" -> depth;
      case "previtem" -> index0 == 0 ? Undefined.because("there is no previous item") : previous;
      case "nextitem" -> peek() ? following : Undefined.because("there is no next item");
      case "cycle" -> new Builtin("cycle", (caller, arguments) -> cycle(arguments));
      case "changed" -> new Builtin("changed", (caller, arguments) -> changed(arguments));
      default -> Undefined.MISSING;
    };
  }

  private Object cycle(Arguments arguments) {
    if (arguments.positional().isEmpty()) {
      throw new Failure("no items for cycling given");
    }
    return arguments.positional().get((int) (index0 % arguments.positional().size()));
  }

  private boolean changed(Arguments arguments) {
    boolean changed = lastChanged == null || !Comparison.equal(lastChanged, arguments.positional(), render);
    lastChanged = arguments.positional();
    return changed;
  }

  @Override
  public Object call(Render caller, Arguments arguments) {
    Object inner = arguments.bind("loop", "iterable")[0];
    if (recursion == null) {
      throw new Failure("the loop must have the 'recursive' marker to be called recursively");
    }
    return recursion.render(inner, depth + 1);
  }

  @Override
  public String typeName() {
    return "LoopContext";
  }
}
