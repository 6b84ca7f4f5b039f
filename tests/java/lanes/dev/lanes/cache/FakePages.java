package dev.lanes.cache;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;

/** Pages without memory: accounting needs none. */
final class FakePages implements KvPages {
  final List<Integer> poisoned = new ArrayList<>();
  boolean closed;
  private final Spec spec;

  FakePages(Spec spec) {
    this.spec = spec;
  }

  static Spec spec(int pages) {
    return new Spec(pages, 1, 1, 8, DType.F32);
  }

  /** A backend that has these pages and nothing else. */
  Backend backend() {
    return (Backend) Proxy.newProxyInstance(FakePages.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, args) -> {
      if (method.getName().equals("kvPages")) {
        return this;
      }
      throw new UnsupportedOperationException(method.toString());
    });
  }

  @Override
  public Spec spec() {
    return spec;
  }

  @Override
  public long bytes() {
    return 0;
  }

  @Override
  public void poison(int page) {
    poisoned.add(page);
  }

  @Override
  public void close() {
    closed = true;
  }
}
