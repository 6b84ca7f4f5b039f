package dev.lanes.bench.harness;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.Tensor;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Function;

/** Our side of a case: a native backend of its own, and the tensors, weights and pages that its op works on. */
public final class Ours implements Contender {
  private final Deque<AutoCloseable> owned = new ArrayDeque<>();
  private final Backend backend;
  private final double work;
  private Runnable op;

  private Ours(double work, BackendOptions options) {
    this.work = work;
    backend = own(Backends.open(options));
  }

  /**
   * Opens a backend and prepares an op on it.
   *
   * @param work what one run of the op counts, in the case's unit
   * @param prepare allocates through the {@link Ours} it is given and returns the op
   */
  public static Ours of(double work, int threads, Function<Ours, Runnable> prepare) {
    return of(work, options(threads), prepare);
  }

  /** The options of a native backend on this many threads. */
  public static BackendOptions options(int threads) {
    return BackendOptions.defaults().withDevice(BackendOptions.Device.CPU).withThreads(threads);
  }

  /** The same on a backend with these options. */
  public static Ours of(double work, BackendOptions options, Function<Ours, Runnable> prepare) {
    Ours ours = new Ours(work, options);
    try {
      ours.op = prepare.apply(ours);
      return ours;
    } catch (RuntimeException e) {
      ours.close();
      throw e;
    }
  }

  public Backend backend() {
    return backend;
  }

  /** A tensor of random numbers. */
  public Tensor tensor(int rows, int columns) {
    Tensor tensor = own(backend.tensor(MemoryTag.SCRATCH, rows, columns));
    tensor.copyFrom(RandomData.floats(Math.multiplyExact(rows, columns)), 0);
    return tensor;
  }

  /** Rows of random int8. */
  public QuantizedTensor quantizedTensor(int rows, int columns) {
    QuantizedTensor tensor = own(backend.quantizedTensor(MemoryTag.SCRATCH, rows, columns));
    byte[] elements = new byte[Math.multiplyExact(rows, columns)];
    float[] values = RandomData.floats(elements.length);
    for (int i = 0; i < elements.length; i++) {
      elements[i] = (byte) Math.round(values[i] * Byte.MAX_VALUE);
    }
    tensor.copyFrom(elements, RandomData.floats(rows));
    return tensor;
  }

  /** Equal packed weights [n, k] of random numbers, to rotate among. */
  public PackedWeight[] weights(int n, int k, DType dtype, int copies) {
    ByteBuffer elements = RandomData.floatBytes(Math.multiplyExact(n, k));
    PackedWeight[] weights = new PackedWeight[copies];
    for (int i = 0; i < copies; i++) {
      weights[i] = own(backend.weight(n, k, dtype));
      weights[i].pack(new PackedWeight.Part(elements.duplicate().order(elements.order()), DType.F32, false, 0, n, 0, k));
    }
    return weights;
  }

  public KvPages pages(KvPages.Spec spec) {
    return own(backend.kvPages(spec));
  }

  private <T extends AutoCloseable> T own(T resource) {
    owned.push(resource);
    return resource;
  }

  @Override
  public String name() {
    return "Lanes";
  }

  @Override
  public double work() {
    return work;
  }

  @Override
  public void run() {
    op.run();
  }

  @Override
  public void close() {
    RuntimeException failure = null;
    while (!owned.isEmpty()) {
      try {
        owned.pop().close();
      } catch (Exception e) {
        failure = new IllegalStateException("closing the benchmark's memory failed", e);
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
