package dev.lanes.backend;

import java.util.Map;

/**
 * Where the arithmetic happens: memory and one method an op. Results of an op do not depend on the number of threads, on which
 * rows share a call, or on where pages lie. Ops may be called from any thread, one at a time.
 *
 * <p>Arguments that contradict each other (shapes, ids, pages out of range) throw {@link IllegalArgumentException}; a closed
 * backend, tensor, weight or pool throws {@link IllegalStateException}; exhausted memory throws
 * {@link dev.lanes.error.InsufficientMemoryException}.
 */
public interface Backend extends AutoCloseable {
  BackendInfo info();

  /** A zeroed tensor of float32. */
  default Tensor tensor(MemoryTag tag, int rows, int columns) {
    return tensor(tag, rows, columns, DType.F32);
  }

  /**
   * A zeroed tensor of this backend.
   *
   * @param dtype {@link DType#F32} or {@link DType#BF16}
   */
  Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype);

  /** A zeroed tensor of int8 rows with their scales. */
  QuantizedTensor quantizedTensor(MemoryTag tag, int rows, int columns);

  /** A zeroed weight, to be filled with {@link PackedWeight#pack}. */
  PackedWeight weight(int rows, int columns, DType dtype);

  /** Bytes that {@link #weight} would take. */
  long weightBytes(int rows, int columns, DType dtype);

  KvPages kvPages(KvPages.Spec spec);

  /** Bytes that {@link #kvPages} would take. */
  long kvBytes(KvPages.Spec spec);

  /** Live and peak bytes of this backend's kind of memory, over the whole process. */
  MemoryStats memory();

  void resetMemoryPeak();

  /**
   * Bytes that tensors, weights and pages of this backend can still take, as far as the system or the device says: what is free there, for
   * all processes.
   */
  default long availableBytes() {
    return SystemMemory.availableBytes();
  }

  /** Switches the kernels' own clocks on, from zero, or off. A backend that has none does nothing. */
  default void measureKernels(boolean on) {}

  /** What each op's kernels took since {@link #measureKernels} switched their clocks on; empty where there are none. */
  default Map<String, KernelTime> kernelTimes() {
    return Map.of();
  }

  /**
   * Lets ops of this thread wait until the batch is closed, or until somebody reads a tensor, closes something, or calls
   * {@link #route}: a backend for which each call has its price then pays it once. The arrays that {@link #sample} and
   * {@link #topLogProbabilities} fill need not be filled before. What goes wrong in an op may be thrown later, by any of these. Arrays in
   * ops must not be changed before. Batches of a thread may be nested; the outermost counts. Other threads wait for it.
   */
  default Batch batch() {
    return () -> {};
  }

  /** See {@link #batch}; to be closed by the thread that opened it. */
  @FunctionalInterface
  interface Batch extends AutoCloseable {
    @Override
    void close();
  }

  void embed(Op.Embed op);

  void linear(Op.Linear op);

  void norm(Op.Norm op);

  void ropeTable(Op.RopeTable op);

  void rope(Op.Rope op);

  void kvWrite(Op.KvWrite op);

  void attention(Op.Attention op);

  void gate(Op.Gate op);

  void route(Op.Route op);

  void gather(Op.Gather op);

  void combine(Op.Combine op);

  void sample(Op.Sample op);

  void topLogProbabilities(Op.TopLogProbabilities op);

  /** Tensors, weights and pages of this backend must be closed first or are unusable afterwards. Closing twice does nothing. */
  @Override
  void close();
}
