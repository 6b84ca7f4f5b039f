package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryStats;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.Tensor;

/** Another backend with room to look in or to interfere. */
class DelegatingBackend implements Backend {
  final Backend inner;

  DelegatingBackend(Backend inner) {
    this.inner = inner;
  }

  @Override
  public BackendInfo info() {
    return inner.info();
  }

  @Override
  public Tensor tensor(MemoryTag tag, int rows, int columns) {
    return inner.tensor(tag, rows, columns);
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
