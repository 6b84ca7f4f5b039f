package dev.lanes.quantize;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Op;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/** Looks at the linear layers of a model that runs on a backend, or computes them in its place. */
final class LinearSwitch {
  private final Backend inner;
  private Handler handler;

  /** What is done with a linear layer. */
  @FunctionalInterface
  interface Handler {
    /** True when it has been computed, so that the backend shall not. */
    boolean handle(Op.Linear op);
  }

  LinearSwitch(Backend inner) {
    this.inner = inner;
  }

  /** Null lets the backend compute everything. */
  void set(Handler value) {
    handler = value;
  }

  /** The backend with the switch in its linear layers. */
  Backend backend() {
    return (Backend) Proxy.newProxyInstance(Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
      if (handler != null && arguments != null && arguments.length == 1 && arguments[0] instanceof Op.Linear op && handler.handle(op)) {
        return null;
      }
      try {
        return method.invoke(inner, arguments);
      } catch (InvocationTargetException e) {
        throw e.getCause();
      }
    });
  }
}
