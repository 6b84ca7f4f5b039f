package dev.lanes.backend.jni;

import dev.lanes.backend.Forgotten;
import dev.lanes.backend.KvPages;
import java.lang.ref.Cleaner;

/** A native pool of KV pages. */
final class NativeKvPages implements KvPages {
  private final NativeBackend backend;
  private final Resource pool;
  private final Cleaner.Cleanable cleanable;
  private final Spec spec;

  NativeKvPages(NativeBackend backend, Resource pool, Spec spec) {
    this.backend = backend;
    this.pool = pool;
    this.spec = spec;
    this.cleanable = Forgotten.watch(this, pool);
  }

  NativeBackend backend() {
    return backend;
  }

  /** Of the handle; to be called and used under the backend's lock. */
  long address() {
    return pool.address();
  }

  @Override
  public Spec spec() {
    return spec;
  }

  @Override
  public long bytes() {
    return pool.bytes();
  }

  @Override
  public void poison(int page) {
    if (page < 0 || page >= spec.pages()) {
      throw new IllegalArgumentException("poison: page " + page + ": expected 0 to " + (spec.pages() - 1));
    }
    backend.poison(this, page);
  }

  @Override
  public void close() {
    pool.release();
    cleanable.clean();
  }
}
