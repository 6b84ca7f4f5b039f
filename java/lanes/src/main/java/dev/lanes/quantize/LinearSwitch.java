package dev.lanes.quantize;

import dev.lanes.backend.Backend;
import dev.lanes.backend.ForwardingBackend;
import dev.lanes.backend.Op;

/** Another backend, whose linear layers can be looked at or computed in its place. */
final class LinearSwitch extends ForwardingBackend {
  private Handler handler;

  /** What is done with a linear layer. */
  @FunctionalInterface
  interface Handler {
    /** True when it has been computed, so that the backend shall not. */
    boolean handle(Op.Linear op);
  }

  LinearSwitch(Backend inner) {
    super(inner);
  }

  /** Null lets the backend compute everything. */
  void set(Handler value) {
    handler = value;
  }

  @Override
  public void linear(Op.Linear op) {
    if (handler == null || !handler.handle(op)) {
      inner.linear(op);
    }
  }
}
