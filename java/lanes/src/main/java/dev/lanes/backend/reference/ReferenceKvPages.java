package dev.lanes.backend.reference;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.KvPages;
import java.lang.ref.Cleaner;
import java.util.Arrays;

/** Pages as one array per layer and page: [2 (keys, values), kvHeads, PAGE_TOKENS, headDim], float32 or bfloat16 patterns. */
final class ReferenceKvPages implements KvPages {
  /** Indexed by {@code layer * pages + page}; float[] or short[]. */
  private final Storage<Object[]> storage;
  private final Cleaner.Cleanable cleanable;
  private final ReferenceBackend backend;
  private final Spec spec;

  ReferenceKvPages(ReferenceBackend backend, Storage<Object[]> storage, Spec spec) {
    this.backend = backend;
    this.storage = storage;
    this.spec = spec;
    this.cleanable = Forgotten.watch(this, storage);
  }

  /** @throws ArithmeticException if that does not fit 64 bits */
  static long bytes(Spec spec) {
    return Math.multiplyExact((long) spec.pages() * spec.layers(), pageElements(spec) * spec.dtype().bytes());
  }

  /** Elements of one layer's part of a page. */
  static long pageElements(Spec spec) {
    return 2L * PAGE_TOKENS * spec.kvHeads() * spec.headDim();
  }

  /** The number of arrays and of elements in each must fit a Java array. */
  static Object[] allocate(Spec spec) {
    int arrays = spec.layers() * spec.pages();
    int elements = (int) pageElements(spec);
    return spec.dtype() == DType.F32 ? new float[arrays][elements] : new short[arrays][elements];
  }

  ReferenceBackend backend() {
    return backend;
  }

  /** To be called and used under the backend's lock. */
  Object[] data() {
    return storage.get();
  }

  /** The array of a page in {@link #data()}. */
  Object page(Object[] data, int layer, int page) {
    return data[layer * spec.pages() + page];
  }

  /** Index of the first dimension of a key or value in its page's array. */
  int index(boolean value, int kvHead, int offset) {
    return (((value ? spec.kvHeads() : 0) + kvHead) * PAGE_TOKENS + offset) * spec.headDim();
  }

  float load(Object page, int index) {
    return spec.dtype() == DType.F32 ? ((float[]) page)[index] : FloatFormats.fromBf16(((short[]) page)[index]);
  }

  void store(Object page, int index, float value) {
    if (spec.dtype() == DType.F32) {
      ((float[]) page)[index] = value;
    } else {
      ((short[]) page)[index] = FloatFormats.toBf16(value);
    }
  }

  @Override
  public Spec spec() {
    return spec;
  }

  @Override
  public long bytes() {
    return storage.bytes();
  }

  @Override
  public void poison(int page) {
    if (page < 0 || page >= spec.pages()) {
      throw new IllegalArgumentException("poison: page " + page + ": expected 0 to " + (spec.pages() - 1));
    }
    backend.locked(() -> {
      Object[] data = data();
      for (int layer = 0; layer < spec.layers(); layer++) {
        if (page(data, layer, page) instanceof float[] floats) {
          Arrays.fill(floats, Float.NaN);
        } else {
          Arrays.fill((short[]) page(data, layer, page), FloatFormats.toBf16(Float.NaN));
        }
      }
    });
  }

  @Override
  public void close() {
    storage.release();
    cleanable.clean();
  }
}
