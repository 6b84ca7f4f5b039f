package dev.lanes.token.template;

import java.util.Arrays;

/** The variables of one running function: the template, a call of a macro, one level of a recursive loop, a loop's condition. */
final class Frame {
  final Render render;
  private final Object[] slots;
  private final Frame outer;

  /** @param outer the frame in which the function was defined, null for the template */
  Frame(Symbols.Function function, Frame outer, Render render) {
    this.render = render;
    this.outer = outer;
    this.slots = new Object[function.slots()];
    Arrays.fill(slots, Undefined.MISSING);
  }

  Object get(int hops, int index) {
    Frame frame = this;
    for (int i = 0; i < hops; i++) {
      frame = frame.outer;
    }
    return frame.slots[index];
  }

  void set(int index, Object value) {
    slots[index] = value;
  }
}
