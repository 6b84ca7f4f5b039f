package dev.lanes.token.template;

import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * A compiled for loop.
 *
 * @param condition null if all elements count
 * @param loopSlot variable of {@code loop}, -1 if the body does not use it
 * @param body with the set-up of its scope
 * @param otherwise the else branch, null if there is none
 * @param cost what one pass is charged
 */
record Loop(Evaluator iterable, Target target, Condition condition, int loopSlot, Action body, Action leave, Action otherwise, long cost,
    int line) implements Action {
  /** Assigns the loop variables. */
  interface Target {
    void assign(Frame frame, Object value);
  }

  /** Gives the element to loop over for a value, or {@link Undefined#MISSING} if the value is left out. */
  interface Condition {
    Object apply(Object value, Frame definedIn);
  }

  @Override
  public Flow run(Frame frame, Output out) {
    return run(frame, frame, out, iterable.evaluate(frame), null, 0);
  }

  /** The same loop as a function that its body can call for an inner iterable. */
  Action recursive(Symbols.Function function) {
    return (frame, out) -> {
      out.append(renderLevel(function, frame, iterable.evaluate(frame), 0));
      return Flow.NEXT;
    };
  }

  private String renderLevel(Symbols.Function function, Frame definedIn, Object elements, long depth) {
    Render render = definedIn.render;
    render.enterCall();
    Output out = new Output(render);
    run(new Frame(function, definedIn, render), definedIn, out, elements,
        (inner, innerDepth) -> renderLevel(function, definedIn, inner, innerDepth), depth);
    render.leaveCall();
    return out.toString();
  }

  private Flow run(Frame frame, Frame definedIn, Output out, Object value, LoopContext.Recursion recursion, long depth) {
    Render render = frame.render;
    Object source = condition == null ? value : new Generator(() -> new Selected(Sequences.iterate(value, render), definedIn));
    LoopContext context = loopSlot < 0 ? null : new LoopContext(source, recursion, depth, render);
    Iterator<Object> elements = context == null ? Sequences.iterate(source, render) : context;
    // As in Jinja, only a pass that reaches the end of the body keeps the else branch from running.
    boolean completed = false;
    while (elements.hasNext()) {
      render.charge(cost);
      render.line = line;
      target.assign(frame, elements.next());
      if (context != null) {
        frame.set(loopSlot, context);
      }
      Flow flow = body.run(frame, out);
      if (flow == Flow.BREAK) {
        break;
      }
      completed |= flow == Flow.NEXT;
    }
    leave.run(frame, out);
    return completed || otherwise == null ? Flow.NEXT : otherwise.run(frame, out);
  }

  /** The elements for which the condition holds. */
  private final class Selected implements Iterator<Object> {
    private final Iterator<Object> values;
    private final Frame definedIn;
    private Object next = Undefined.MISSING;

    Selected(Iterator<Object> values, Frame definedIn) {
      this.values = values;
      this.definedIn = definedIn;
    }

    @Override
    public boolean hasNext() {
      while (next == Undefined.MISSING && values.hasNext()) {
        definedIn.render.charge(cost);
        next = condition.apply(values.next(), definedIn);
      }
      return next != Undefined.MISSING;
    }

    @Override
    public Object next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      Object result = next;
      next = Undefined.MISSING;
      return result;
    }
  }
}
