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
import dev.lanes.backend.SystemMemory;
import dev.lanes.backend.Tensor;
import dev.lanes.error.NativeException;
import dev.lanes.kernels.KvPoolHandle;
import dev.lanes.kernels.KvPoolParams;
import dev.lanes.kernels.NativeLibrary;
import dev.lanes.kernels.NativeLibraryException;
import dev.lanes.kernels.RuntimeMemory;
import dev.lanes.kernels.WeightHandle;
import dev.lanes.kernels.WeightParams;
import dev.lanes.kernels.global.lanes;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.IntToLongFunction;

/**
 * The native kernels, on a CPU or a GPU. Every op, copy and close of one backend takes its lock: closing waits for a running op, and what is closed is
 * refused afterwards. All memory comes from the counted allocators of {@code lanes.h}.
 */
public final class NativeBackend implements Backend {
  private final NativeRuntime runtime;
  private final Cleaner.Cleanable cleanable;

  private NativeBackend(NativeRuntime runtime) {
    this.runtime = runtime;
    this.cleanable = Forgotten.watch(this, runtime);
  }

  /**
   * Loads the native library and opens the device: a GPU, or a pool of threads.
   *
   * @param because what comes first in {@link BackendInfo#why()}; may be empty
   * @throws NativeException if there is no library for this machine, no such device, or the CPU lacks the instruction set that was asked
   *     for
   */
  public static NativeBackend open(BackendOptions options, String because) {
    load();
    return new NativeBackend(NativeRuntime.create(options, because));
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

  /** How tensors come and go where a GPU has them, else null; to be used under the lock. */
  DeviceCopies copies() {
    return runtime.copies();
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
  public Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype) {
    OpChecks.tensor(tag, rows, columns, dtype);
    long bytes = (long) rows * columns * dtype.bytes();
    lock();
    try {
      return new NativeTensor(this, Resource.tensor(runtime.owner(), runtime.handle(), Tensor.name(rows, columns, dtype), tag, bytes), rows,
          columns, dtype);
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
          Resource.tensor(runtime.owner(), runtime.handle(), "quantized tensor [" + rows + ", " + columns + "]", tag, bytes), rows, columns);
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
    lock();
    try (WeightParams params = weightParams(rows, columns, dtype)) {
      Status.check(lanes.lanes_weight_bytes(params, bytes));
    } finally {
      unlock();
    }
    return bytes[0];
  }

  private WeightParams weightParams(int rows, int columns, DType dtype) {
    return new WeightParams().size(Struct.size(WeightParams.class)).rows(rows).cols(columns).dtype(Calls.dtype(dtype))
        .runtime(runtime.handle());
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
    lock();
    try (KvPoolParams params = poolParams(spec)) {
      Status.check(lanes.lanes_kv_pool_bytes(params, bytes));
    } finally {
      unlock();
    }
    return bytes[0];
  }

  private KvPoolParams poolParams(KvPages.Spec spec) {
    return new KvPoolParams().size(Struct.size(KvPoolParams.class)).pages(spec.pages()).layers(spec.layers()).kv_heads(spec.kvHeads())
        .head_dim(spec.headDim()).dtype(Calls.dtype(spec.dtype())).runtime(runtime.handle());
  }

  @Override
  public MemoryStats memory() {
    if (!runtime.info().isGpu()) {
      return nativeMemory();
    }
    try (RuntimeMemory memory = deviceMemory()) {
      Map<MemoryTag, Long> live = byTag(memory::live_bytes);
      return new MemoryStats(live, live.values().stream().mapToLong(Long::longValue).sum(), memory.peak_total());
    }
  }

  @Override
  public long availableBytes() {
    if (!runtime.info().isGpu()) {
      return SystemMemory.availableBytes();
    }
    try (RuntimeMemory memory = deviceMemory()) {
      // The largest unsigned number stands for what nobody knows.
      return memory.free_bytes() < 0 ? Long.MAX_VALUE : memory.free_bytes();
    }
  }

  private RuntimeMemory deviceMemory() {
    RuntimeMemory memory = new RuntimeMemory();
    memory.size(Struct.size(RuntimeMemory.class));
    lock();
    try {
      Status.check(lanes.lanes_get_runtime_memory(runtime.handle(), memory));
      return memory;
    } finally {
      unlock();
    }
  }

  private static Map<MemoryTag, Long> byTag(IntToLongFunction bytes) {
    Map<MemoryTag, Long> map = new EnumMap<>(MemoryTag.class);
    map.put(MemoryTag.WEIGHTS, bytes.applyAsLong(lanes.LANES_MEMORY_WEIGHTS));
    map.put(MemoryTag.KV, bytes.applyAsLong(lanes.LANES_MEMORY_KV));
    map.put(MemoryTag.SCRATCH, bytes.applyAsLong(lanes.LANES_MEMORY_SCRATCH));
    map.put(MemoryTag.OTHER, bytes.applyAsLong(lanes.LANES_MEMORY_OTHER));
    return map;
  }

  /**
   * What {@link #memory()} gives of the host, without a backend.
   *
   * @throws NativeException if there is no native library for this machine
   */
  public static MemoryStats nativeMemory() {
    load();
    try (dev.lanes.kernels.MemoryStats stats = new dev.lanes.kernels.MemoryStats()) {
      stats.size(Struct.size(dev.lanes.kernels.MemoryStats.class));
      Status.check(lanes.lanes_get_memory_stats(stats));
      return new MemoryStats(byTag(stats::live_bytes), stats.live_total(), stats.peak_total());
    }
  }

  @Override
  public void resetMemoryPeak() {
    lock();
    try {
      Status.check(lanes.lanes_reset_runtime_memory_peak(runtime.handle()));
    } finally {
      unlock();
    }
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

  /** For tests: how often ops were handed to the native side. */
  long runs() {
    lock();
    try {
      return runtime.calls().queue().runs();
    } finally {
      unlock();
    }
  }

  /** For tests: the device fails as after an illegal access in a kernel. */
  void failDevice() {
    lock();
    try {
      Status.check(lanes.lanes_fail_device(runtime.handle()));
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
    if (op.rotation() != null) {
      own(op.rotation().cos());
      own(op.rotation().sin());
      own(op.rotation().q());
    }
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
