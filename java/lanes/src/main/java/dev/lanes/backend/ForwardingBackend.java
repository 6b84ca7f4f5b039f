package dev.lanes.backend;

import java.util.Map;

/** Hands everything on to another backend, for subclasses that look in or interfere. */
public abstract class ForwardingBackend implements Backend {
  protected final Backend inner;

  /** @param inner is closed with this */
  protected ForwardingBackend(Backend inner) {
    this.inner = inner;
  }

  @Override
  public BackendInfo info() {
    return inner.info();
  }

  @Override
  public Tensor tensor(MemoryTag tag, int rows, int columns, DType dtype) {
    return inner.tensor(tag, rows, columns, dtype);
  }

  @Override
  public QuantizedTensor quantizedTensor(MemoryTag tag, int rows, int columns) {
    return inner.quantizedTensor(tag, rows, columns);
  }

  @Override
  public PackedWeight weight(int rows, int columns, DType dtype) {
    return inner.weight(rows, columns, dtype);
  }

  @Override
  public long weightBytes(int rows, int columns, DType dtype) {
    return inner.weightBytes(rows, columns, dtype);
  }

  @Override
  public KvPages kvPages(KvPages.Spec spec) {
    return inner.kvPages(spec);
  }

  @Override
  public long kvBytes(KvPages.Spec spec) {
    return inner.kvBytes(spec);
  }

  @Override
  public MemoryStats memory() {
    return inner.memory();
  }

  @Override
  public void resetMemoryPeak() {
    inner.resetMemoryPeak();
  }

  @Override
  public long availableBytes() {
    return inner.availableBytes();
  }

  @Override
  public void measureKernels(boolean on) {
    inner.measureKernels(on);
  }

  @Override
  public Map<String, KernelTime> kernelTimes() {
    return inner.kernelTimes();
  }

  @Override
  public Batch batch() {
    return inner.batch();
  }

  @Override
  public void embed(Op.Embed op) {
    inner.embed(op);
  }

  @Override
  public void linear(Op.Linear op) {
    inner.linear(op);
  }

  @Override
  public void norm(Op.Norm op) {
    inner.norm(op);
  }

  @Override
  public void ropeTable(Op.RopeTable op) {
    inner.ropeTable(op);
  }

  @Override
  public void rope(Op.Rope op) {
    inner.rope(op);
  }

  @Override
  public void kvWrite(Op.KvWrite op) {
    inner.kvWrite(op);
  }

  @Override
  public void attention(Op.Attention op) {
    inner.attention(op);
  }

  @Override
  public void gate(Op.Gate op) {
    inner.gate(op);
  }

  @Override
  public void route(Op.Route op) {
    inner.route(op);
  }

  @Override
  public void gather(Op.Gather op) {
    inner.gather(op);
  }

  @Override
  public void combine(Op.Combine op) {
    inner.combine(op);
  }

  @Override
  public void sample(Op.Sample op) {
    inner.sample(op);
  }

  @Override
  public void topLogProbabilities(Op.TopLogProbabilities op) {
    inner.topLogProbabilities(op);
  }

  @Override
  public void close() {
    inner.close();
  }
}
