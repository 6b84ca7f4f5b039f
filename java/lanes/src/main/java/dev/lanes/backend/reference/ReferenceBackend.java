package dev.lanes.backend.reference;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryStats;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.Tensor;
import dev.lanes.error.InsufficientMemoryException;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Plain Java loops for every op: products and sums in double precision, each result rounded once to float32. Its memory is the Java
 * heap. Slow; meant for small models, machines without a native library, and as an oracle.
 */
public final class ReferenceBackend implements Backend {
  private static final List<String> OPS = List.of("embed", "linear", "norm", "rope_table", "rope", "kv_write", "attention", "gate",
      "route", "gather", "combine", "sample", "top_log_probabilities");

  /** What is live; also the lock that ops, copies and closing take. */
  private final Set<Storage<?>> live = new HashSet<>();
  private final Parallel parallel;
  private final BackendInfo info;
  private boolean closed;

  /**
   * @param threads threads that share an op; 0 for one per CPU
   * @param why why this backend was chosen, in one line
   */
  public ReferenceBackend(int threads, String why) {
    parallel = new Parallel(threads == 0 ? Runtime.getRuntime().availableProcessors() : threads);
    Map<String, String> implementations = new LinkedHashMap<>();
    for (String op : OPS) {
      implementations.put(op, "java");
    }
    info = new BackendInfo("reference", "", "java", parallel.threads(), false, "", why, implementations);
  }

  /** Runs {@code body} while nothing else runs on this backend and nothing of it is being closed. */
  void locked(Runnable body) {
    synchronized (live) {
      if (closed) {
        throw new IllegalStateException("the backend is closed");
      }
      body.run();
    }
  }

  @Override
  public BackendInfo info() {
    return info;
  }

  @Override
  public Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype) {
    OpChecks.tensor(tag, rows, columns, dtype);
    long elements = (long) rows * columns;
    String name = Tensor.name(rows, columns, dtype);
    if (elements > Integer.MAX_VALUE - 8) {
      throw new InsufficientMemoryException(name + " is more than one Java array can hold", elements * dtype.bytes(),
          (Integer.MAX_VALUE - 8L) * dtype.bytes());
    }
    synchronized (live) {
      checkOpen();
      return new ReferenceTensor(this, new Storage<>(live, name, tag, elements * dtype.bytes(),
          () -> dtype == DType.BF16 ? new short[(int) elements] : new float[(int) elements]), rows, columns, dtype);
    }
  }

  @Override
  public QuantizedTensor quantizedTensor(MemoryTag tag, int rows, int columns) {
    OpChecks.tensor(tag, rows, columns);
    long elements = (long) rows * columns;
    long bytes = QuantizedTensor.bytes(rows, columns);
    String name = "quantized tensor [" + rows + ", " + columns + "]";
    if (elements > Integer.MAX_VALUE - 8) {
      throw new InsufficientMemoryException(name + " is more than one Java array can hold", bytes, Integer.MAX_VALUE - 8L);
    }
    synchronized (live) {
      checkOpen();
      return new ReferenceQuantizedTensor(this, new Storage<>(live, name, tag, bytes,
          () -> new ReferenceQuantizedTensor.Arrays(new byte[(int) elements], new float[rows])), rows, columns);
    }
  }

  @Override
  public PackedWeight weight(int rows, int columns, DType dtype) {
    long bytes = weightBytes(rows, columns, dtype);
    String name = "weight [" + rows + ", " + columns + "] of " + dtype;
    synchronized (live) {
      checkOpen();
      return new ReferenceWeight(this,
          new Storage<>(live, name, MemoryTag.WEIGHTS, bytes, () -> ReferenceWeight.allocate(rows, columns, dtype)), rows, columns, dtype);
    }
  }

  @Override
  public long weightBytes(int rows, int columns, DType dtype) {
    OpChecks.weight(rows, columns, dtype);
    return ReferenceWeight.bytes(rows, columns, dtype);
  }

  @Override
  public KvPages kvPages(KvPages.Spec spec) {
    long bytes = kvBytes(spec);
    String name = "KV pages " + spec;
    long arrays = (long) spec.pages() * spec.layers();
    if (arrays > Integer.MAX_VALUE - 8 || ReferenceKvPages.pageElements(spec) > Integer.MAX_VALUE - 8) {
      throw new InsufficientMemoryException(name + " is more than Java arrays can hold", bytes, Runtime.getRuntime().maxMemory());
    }
    synchronized (live) {
      checkOpen();
      return new ReferenceKvPages(this, new Storage<>(live, name, MemoryTag.KV, bytes, () -> ReferenceKvPages.allocate(spec)), spec);
    }
  }

  @Override
  public long kvBytes(KvPages.Spec spec) {
    OpChecks.pages(spec);
    try {
      return ReferenceKvPages.bytes(spec);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException("kvPages: the bytes of " + spec + " do not fit 64 bits", e);
    }
  }

  @Override
  public MemoryStats memory() {
    return Storage.stats();
  }

  @Override
  public void resetMemoryPeak() {
    Storage.resetPeak();
  }

  @Override
  public void embed(Op.Embed op) {
    synchronized (live) {
      begin(op.y());
      own(op.weight());
      OpChecks.check(op);
      Rows.embed(op);
    }
  }

  @Override
  public void linear(Op.Linear op) {
    synchronized (live) {
      begin(op.x(), op.bias(), op.residual(), op.y());
      own(op.quantized());
      own(op.weight());
      OpChecks.check(op);
      Aliasing.disjoint("linear", "y", cast(op.y()), "x", cast(op.x()));
      Aliasing.disjoint("linear", "y", cast(op.y()), "bias", cast(op.bias()));
      Aliasing.disjointOrSame("linear", "y", cast(op.y()), "residual", cast(op.residual()));
      if (op.weight().dtype() == DType.S8) {
        Int8.linear(op, parallel);
      } else {
        Rows.linear(op, parallel);
      }
    }
  }

  @Override
  public void norm(Op.Norm op) {
    synchronized (live) {
      begin(op.x(), op.residual(), op.weight(), op.bias(), op.sum(), op.y());
      own(op.quantized());
      OpChecks.check(op);
      ReferenceTensor y = cast(op.y());
      ReferenceTensor sum = cast(op.sum());
      Aliasing.disjoint("norm", "y", y, "weight", cast(op.weight()));
      Aliasing.disjoint("norm", "y", y, "bias", cast(op.bias()));
      Aliasing.disjointOrSame("norm", "y", y, "x", cast(op.x()));
      Aliasing.disjointOrSame("norm", "y", y, "residual", cast(op.residual()));
      if (sum != null) {
        Aliasing.disjoint("norm", "sum", sum, "y", y);
        Aliasing.disjoint("norm", "sum", sum, "weight", cast(op.weight()));
        Aliasing.disjoint("norm", "sum", sum, "bias", cast(op.bias()));
        Aliasing.disjointOrSame("norm", "sum", sum, "x", cast(op.x()));
        Aliasing.disjointOrSame("norm", "sum", sum, "residual", cast(op.residual()));
      }
      Rows.norm(op);
    }
  }

  @Override
  public void ropeTable(Op.RopeTable op) {
    synchronized (live) {
      begin(op.cos(), op.sin());
      OpChecks.check(op);
      Aliasing.disjoint("ropeTable", "cos", cast(op.cos()), "sin", cast(op.sin()));
      Rows.ropeTable(op);
    }
  }

  @Override
  public void rope(Op.Rope op) {
    synchronized (live) {
      begin(op.cos(), op.sin(), op.x(), op.y());
      OpChecks.check(op);
      Aliasing.disjoint("rope", "y", cast(op.y()), "cos", cast(op.cos()));
      Aliasing.disjoint("rope", "y", cast(op.y()), "sin", cast(op.sin()));
      Aliasing.disjointOrSame("rope", "y", cast(op.y()), "x", cast(op.x()));
      Rows.rope(op);
    }
  }

  @Override
  public void kvWrite(Op.KvWrite op) {
    synchronized (live) {
      begin(op.k(), op.v());
      own(op.pages());
      Op.Rotation rotation = op.rotation();
      if (rotation != null) {
        begin(rotation.cos(), rotation.sin(), rotation.q());
      }
      OpChecks.check(op);
      if (rotation != null) {
        ReferenceTensor q = cast(rotation.q());
        Aliasing.disjoint("kvWrite", "q", q, "k", cast(op.k()));
        Aliasing.disjoint("kvWrite", "q", q, "v", cast(op.v()));
        Aliasing.disjoint("kvWrite", "q", q, "cos", cast(rotation.cos()));
        Aliasing.disjoint("kvWrite", "q", q, "sin", cast(rotation.sin()));
      }
      Attention.write(op);
    }
  }

  @Override
  public void attention(Op.Attention op) {
    synchronized (live) {
      begin(op.q(), op.qSink(), op.out());
      own(op.pages());
      OpChecks.check(op);
      if (op.qSink() == null) {
        Aliasing.disjointOrSame("attention", "out", cast(op.out()), "q", cast(op.q()));
      } else {
        Aliasing.disjoint("attention", "out", cast(op.out()), "q", cast(op.q()));
        Aliasing.disjoint("attention", "out", cast(op.out()), "qSink", cast(op.qSink()));
      }
      Attention.run(op, parallel);
    }
  }

  @Override
  public void gate(Op.Gate op) {
    synchronized (live) {
      begin(op.gate(), op.up(), op.y());
      own(op.quantized());
      OpChecks.check(op);
      Aliasing.disjointOrSame("gate", "y", cast(op.y()), "gate", cast(op.gate()));
      Aliasing.disjointOrSame("gate", "y", cast(op.y()), "up", cast(op.up()));
      Rows.gate(op);
    }
  }

  @Override
  public void route(Op.Route op) {
    synchronized (live) {
      begin(op.logits());
      OpChecks.check(op);
      Sampling.route(op);
    }
  }

  @Override
  public void gather(Op.Gather op) {
    synchronized (live) {
      begin(op.x(), op.y());
      OpChecks.check(op);
      Aliasing.disjoint("gather", "y", cast(op.y()), "x", cast(op.x()));
      Rows.gather(op);
    }
  }

  @Override
  public void combine(Op.Combine op) {
    synchronized (live) {
      begin(op.x(), op.residual(), op.y());
      OpChecks.check(op);
      Aliasing.disjoint("combine", "y", cast(op.y()), "x", cast(op.x()));
      Aliasing.disjointOrSame("combine", "y", cast(op.y()), "residual", cast(op.residual()));
      Rows.combine(op);
    }
  }

  @Override
  public void sample(Op.Sample op) {
    synchronized (live) {
      begin(op.logits());
      OpChecks.check(op);
      Sampling.sample(op);
    }
  }

  @Override
  public void topLogProbabilities(Op.TopLogProbabilities op) {
    synchronized (live) {
      begin(op.logits());
      OpChecks.check(op);
      Sampling.topLogProbabilities(op);
    }
  }

  @Override
  public void close() {
    synchronized (live) {
      if (closed) {
        return;
      }
      closed = true;
      for (Storage<?> storage : Set.copyOf(live)) {
        storage.release();
      }
    }
    parallel.close();
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the backend is closed");
    }
  }

  /** That the backend is open, and that the tensors (null allowed) are its own and open. */
  private void begin(Tensor... tensors) {
    checkOpen();
    for (Tensor tensor : tensors) {
      if (tensor == null) {
        continue;
      }
      if (!(tensor instanceof ReferenceTensor own) || own.backend() != this) {
        throw foreign("tensor");
      }
      own.requireOpen();
    }
  }

  private void own(QuantizedTensor tensor) {
    if (tensor == null) {
      return;
    }
    if (!(tensor instanceof ReferenceQuantizedTensor own) || own.backend() != this) {
      throw foreign("quantized tensor");
    }
    own.data();
  }

  private void own(PackedWeight weight) {
    if (weight == null) {
      return;
    }
    if (!(weight instanceof ReferenceWeight own) || own.backend() != this) {
      throw foreign("weight");
    }
    own.data();
  }

  private void own(KvPages pages) {
    if (pages == null) {
      return;
    }
    if (!(pages instanceof ReferenceKvPages own) || own.backend() != this) {
      throw foreign("pool of KV pages");
    }
    own.data();
  }

  private static IllegalArgumentException foreign(String what) {
    return new IllegalArgumentException("a " + what + " of another backend");
  }

  private static ReferenceTensor cast(Tensor tensor) {
    return (ReferenceTensor) tensor;
  }
}
