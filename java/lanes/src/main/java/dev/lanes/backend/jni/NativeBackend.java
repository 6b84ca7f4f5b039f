package dev.lanes.backend.jni;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.DType;
import dev.lanes.backend.Forgotten;
import dev.lanes.backend.KernelTime;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryStats;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.OpChecks;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.Tensor;
import dev.lanes.error.NativeException;
import dev.lanes.kernels.KvPoolHandle;
import dev.lanes.kernels.KvPoolParams;
import dev.lanes.kernels.NativeLibrary;
import dev.lanes.kernels.NativeLibraryException;
import dev.lanes.kernels.WeightHandle;
import dev.lanes.kernels.WeightParams;
import dev.lanes.kernels.global.lanes;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.EnumMap;
import java.util.Map;

/**
 * The native kernels. Every op, copy and close of one backend takes its lock: closing waits for a running op, and what is closed is
 * refused afterwards. All memory comes from the counted allocator of {@code lanes.h}.
 */
public final class NativeBackend implements Backend {
  private final NativeRuntime runtime;
  private final Cleaner.Cleanable cleanable;

  private NativeBackend(NativeRuntime runtime) {
    this.runtime = runtime;
    this.cleanable = Forgotten.watch(this, runtime);
  }

  /**
   * Loads the native library and starts a pool of threads.
   *
   * @throws NativeException if there is no library for this machine, or the CPU lacks the instruction set that was asked for
   */
  public static NativeBackend open(BackendOptions options) {
    load();
    return new NativeBackend(NativeRuntime.create(options));
  }

  private static void load() {
    try {
      NativeLibrary.load();
    } catch (NativeLibraryException e) {
      throw new NativeException(e.getMessage(), e);
    }
  }

  void lock() {
    runtime.lock();
  }

  void unlock() {
    runtime.unlock();
  }

  /** Runs the ops of a batch that wait; to be called under the lock. */
  void flush() {
    runtime.calls().queue().flush();
  }

  /** Holds the lock, so that whoever wants to close something waits for the end of the batch. */
  @Override
  public Batch batch() {
    lock();
    runtime.calls().queue().open();
    return new OpenBatch(Thread.currentThread());
  }

  private final class OpenBatch implements Batch {
    private final Thread thread;
    private boolean closed;

    OpenBatch(Thread thread) {
      this.thread = thread;
    }

    @Override
    public void close() {
      if (closed) {
        return;
      }
      if (Thread.currentThread() != thread) {
        throw new IllegalStateException("a batch is closed by the thread that opened it, " + thread.getName());
      }
      closed = true;
      try {
        runtime.calls().queue().close();
      } finally {
        unlock();
      }
    }
  }

  @Override
  public BackendInfo info() {
    return runtime.info();
  }

  @Override
  public Tensor tensor(MemoryTag tag, int rows, int columns) {
    OpChecks.tensor(tag, rows, columns);
    long bytes = (long) rows * columns * Float.BYTES;
    lock();
    try {
      return new NativeTensor(this, Resource.block(runtime.owner(), "tensor [" + rows + ", " + columns + "]", tag, bytes), rows, columns);
    } finally {
      unlock();
    }
  }

  @Override
  public QuantizedTensor quantizedTensor(MemoryTag tag, int rows, int columns) {
    OpChecks.tensor(tag, rows, columns);
    long bytes = QuantizedTensor.bytes(rows, columns);
    lock();
    try {
      return new NativeQuantizedTensor(this,
          Resource.block(runtime.owner(), "quantized tensor [" + rows + ", " + columns + "]", tag, bytes), rows, columns);
    } finally {
      unlock();
    }
  }

  @Override
  public PackedWeight weight(int rows, int columns, DType dtype) {
    long bytes = weightBytes(rows, columns, dtype);
    lock();
    try (WeightParams params = weightParams(rows, columns, dtype)) {
      WeightHandle handle = new WeightHandle();
      Status.check(lanes.lanes_weight_create(params, handle), bytes);
      String name = "weight [" + rows + ", " + columns + "] of " + dtype;
      return new NativeWeight(this, Resource.weight(runtime.owner(), name, bytes, handle), rows, columns, dtype);
    } finally {
      unlock();
    }
  }

  @Override
  public long weightBytes(int rows, int columns, DType dtype) {
    OpChecks.weight(rows, columns, dtype);
    long[] bytes = new long[1];
    try (WeightParams params = weightParams(rows, columns, dtype)) {
      Status.check(lanes.lanes_weight_bytes(params, bytes));
    }
    return bytes[0];
  }

  private static WeightParams weightParams(int rows, int columns, DType dtype) {
    return new WeightParams().size(Struct.size(WeightParams.class)).rows(rows).cols(columns).dtype(Calls.dtype(dtype));
  }

  @Override
  public KvPages kvPages(KvPages.Spec spec) {
    long bytes = kvBytes(spec);
    lock();
    try (KvPoolParams params = poolParams(spec)) {
      KvPoolHandle handle = new KvPoolHandle();
      Status.check(lanes.lanes_kv_pool_create(params, handle), bytes);
      return new NativeKvPages(this, Resource.pool(runtime.owner(), "KV pages " + spec, bytes, handle), spec);
    } finally {
      unlock();
    }
  }

  @Override
  public long kvBytes(KvPages.Spec spec) {
    OpChecks.pages(spec);
    long[] bytes = new long[1];
    try (KvPoolParams params = poolParams(spec)) {
      Status.check(lanes.lanes_kv_pool_bytes(params, bytes));
    }
    return bytes[0];
  }

  private static KvPoolParams poolParams(KvPages.Spec spec) {
    return new KvPoolParams().size(Struct.size(KvPoolParams.class)).pages(spec.pages()).layers(spec.layers()).kv_heads(spec.kvHeads())
        .head_dim(spec.headDim()).dtype(Calls.dtype(spec.dtype()));
  }

  @Override
  public MemoryStats memory() {
    return nativeMemory();
  }

  /**
   * What {@link #memory()} gives, without a backend.
   *
   * @throws NativeException if there is no native library for this machine
   */
  public static MemoryStats nativeMemory() {
    load();
    try (dev.lanes.kernels.MemoryStats stats = new dev.lanes.kernels.MemoryStats()) {
      stats.size(Struct.size(dev.lanes.kernels.MemoryStats.class));
      Status.check(lanes.lanes_get_memory_stats(stats));
      Map<MemoryTag, Long> live = new EnumMap<>(MemoryTag.class);
      live.put(MemoryTag.WEIGHTS, stats.live_bytes(lanes.LANES_MEMORY_WEIGHTS));
      live.put(MemoryTag.KV, stats.live_bytes(lanes.LANES_MEMORY_KV));
      live.put(MemoryTag.SCRATCH, stats.live_bytes(lanes.LANES_MEMORY_SCRATCH));
      live.put(MemoryTag.OTHER, stats.live_bytes(lanes.LANES_MEMORY_OTHER));
      return new MemoryStats(live, stats.live_total(), stats.peak_total());
    }
  }

  @Override
  public void resetMemoryPeak() {
    Status.check(lanes.lanes_reset_memory_peak());
  }

  @Override
  public void measureKernels(boolean on) {
    lock();
    try {
      flush();
      runtime.measureKernels(on);
    } finally {
      unlock();
    }
  }

  @Override
  public Map<String, KernelTime> kernelTimes() {
    lock();
    try {
      flush();
      return runtime.kernelTimes();
    } finally {
      unlock();
    }
  }

  void pack(NativeWeight weight, PackedWeight.Part part) {
    lock();
    try {
      runtime.calls().pack(weight, part);
    } finally {
      unlock();
      Reference.reachabilityFence(weight);
      Reference.reachabilityFence(part);
    }
  }

  void poison(NativeKvPages pages, int page) {
    lock();
    try {
      runtime.calls().poison(pages, page);
    } finally {
      unlock();
      Reference.reachabilityFence(pages);
    }
  }

  @Override
  public void embed(Op.Embed op) {
    own(op.weight());
    own(op.y());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().embed(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void linear(Op.Linear op) {
    own(op.weight());
    own(op.x());
    own(op.quantized());
    own(op.bias());
    own(op.residual());
    own(op.y());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().linear(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void norm(Op.Norm op) {
    own(op.x());
    own(op.residual());
    own(op.weight());
    own(op.bias());
    own(op.sum());
    own(op.y());
    own(op.quantized());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().norm(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void ropeTable(Op.RopeTable op) {
    own(op.cos());
    own(op.sin());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().ropeTable(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void rope(Op.Rope op) {
    own(op.cos());
    own(op.sin());
    own(op.x());
    own(op.y());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().rope(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void kvWrite(Op.KvWrite op) {
    own(op.pages());
    own(op.k());
    own(op.v());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().kvWrite(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void attention(Op.Attention op) {
    own(op.pages());
    own(op.q());
    own(op.qSink());
    own(op.out());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().attention(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void gate(Op.Gate op) {
    own(op.gate());
    own(op.up());
    own(op.y());
    own(op.quantized());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().gate(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void route(Op.Route op) {
    own(op.logits());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().route(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void gather(Op.Gather op) {
    own(op.x());
    own(op.y());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().gather(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void combine(Op.Combine op) {
    own(op.x());
    own(op.residual());
    own(op.y());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().combine(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void sample(Op.Sample op) {
    own(op.logits());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().sample(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void topLogProbabilities(Op.TopLogProbabilities op) {
    own(op.logits());
    OpChecks.check(op);
    lock();
    try {
      runtime.calls().topLogProbabilities(op);
    } finally {
      unlock();
      Reference.reachabilityFence(op);
    }
  }

  @Override
  public void close() {
    runtime.release();
    cleanable.clean();
  }

  private void own(Tensor tensor) {
    if (tensor != null && (!(tensor instanceof NativeTensor cpu) || cpu.backend() != this)) {
      throw foreign("tensor");
    }
  }

  private void own(QuantizedTensor tensor) {
    if (tensor != null && (!(tensor instanceof NativeQuantizedTensor cpu) || cpu.backend() != this)) {
      throw foreign("quantized tensor");
    }
  }

  private void own(PackedWeight weight) {
    if (weight != null && (!(weight instanceof NativeWeight cpu) || cpu.backend() != this)) {
      throw foreign("weight");
    }
  }

  private void own(KvPages pages) {
    if (pages != null && (!(pages instanceof NativeKvPages cpu) || cpu.backend() != this)) {
      throw foreign("pool of KV pages");
    }
  }

  private static IllegalArgumentException foreign(String what) {
    return new IllegalArgumentException("a " + what + " of another backend");
  }
}
