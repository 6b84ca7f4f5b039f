package dev.lanes.backend.reference;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.Quantizer;
import java.lang.ref.Cleaner;
import java.util.Arrays;
import java.util.stream.Stream;

/** Pages as one array per layer and page: [2 (keys, values), kvHeads, PAGE_TOKENS, headDim], float32, patterns of 16 bits or int8. */
final class ReferenceKvPages implements KvPages {
  /** int8 elements and, for each row of headDim of them, the scale. */
  private record Int8Page(byte[] elements, float[] scales) {}

  /** Indexed by {@code layer * pages + page}; float[], short[] or {@link Int8Page}. */
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
    long scales = spec.dtype() == DType.S8 ? pageElements(spec) / spec.headDim() * Float.BYTES : 0;
    return Math.multiplyExact((long) spec.pages() * spec.layers(), pageElements(spec) * spec.dtype().bytes() + scales);
  }

  /** Elements of one layer's part of a page. */
  static long pageElements(Spec spec) {
    return 2L * PAGE_TOKENS * spec.kvHeads() * spec.headDim();
  }

  /** The number of arrays and of elements in each must fit a Java array. */
  static Object[] allocate(Spec spec) {
    int arrays = spec.layers() * spec.pages();
    int elements = (int) pageElements(spec);
    return switch (spec.dtype()) {
      case F32 -> new float[arrays][elements];
      case BF16, F16 -> new short[arrays][elements];
      case S8 -> Stream.generate(() -> new Int8Page(new byte[elements], new float[elements / spec.headDim()])).limit(arrays).toArray();
    };
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

  /** An element; of an int8 page without its scale. */
  float load(Object page, int index) {
    return switch (spec.dtype()) {
      case F32 -> ((float[]) page)[index];
      case BF16 -> FloatFormats.fromBf16(((short[]) page)[index]);
      case F16 -> FloatFormats.fromF16(((short[]) page)[index]);
      case S8 -> ((Int8Page) page).elements[index];
    };
  }

  /** What the elements of the key or value that begins at {@code index} stand for a multiple of. */
  float scale(Object page, int index) {
    return page instanceof Int8Page int8 ? int8.scales[index / spec.headDim()] : 1;
  }

  /** Writes the key or value that begins at {@code index}. */
  void store(Object page, int index, float[] from, int at) {
    switch (spec.dtype()) {
      case F32 -> System.arraycopy(from, at, (float[]) page, index, spec.headDim());
      case BF16 -> {
        for (int i = 0; i < spec.headDim(); i++) {
          ((short[]) page)[index + i] = FloatFormats.toBf16(from[at + i]);
        }
      }
      case F16 -> {
        for (int i = 0; i < spec.headDim(); i++) {
          ((short[]) page)[index + i] = FloatFormats.toF16(from[at + i]);
        }
      }
      case S8 -> {
        Int8Page int8 = (Int8Page) page;
        int8.scales[index / spec.headDim()] = Quantizer.row(from, at, spec.headDim(), int8.elements, index);
      }
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
        } else if (page(data, layer, page) instanceof Int8Page int8) {
          Arrays.fill(int8.scales, Float.NaN);
        } else {
          Arrays.fill((short[]) page(data, layer, page), (short) -1); // a NaN in both formats
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
