package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;

/**
 * A loaded model: weights in a backend's memory and the one forward pass that all architectures share. {@link #forward} and
 * {@link #close} take turns.
 */
public final class TransformerModel implements AutoCloseable {
  private TransformerModel() {}

  /**
   * Reads the weights. The checkpoint is no longer needed afterwards.
   *
   * @throws dev.lanes.error.InvalidModelException if a tensor is missing or has not the shape or type that the configuration asks for
   * @throws dev.lanes.error.InsufficientMemoryException if the weights do not fit into free memory; thrown before any is allocated
   */
  public static TransformerModel load(
      Checkpoint checkpoint, ModelConfig config, Backend backend, ModelOptions options, ProgressListener progress) {
    throw new UnsupportedOperationException();
  }

  /**
   * Runs one step.
   *
   * @throws IllegalArgumentException if the batch contradicts itself or the model
   * @throws IllegalStateException if the model is closed
   */
  public StepOutput forward(StepBatch batch) {
    throw new UnsupportedOperationException();
  }

  public ModelConfig config() {
    throw new UnsupportedOperationException();
  }

  public Backend backend() {
    throw new UnsupportedOperationException();
  }

  /** The shape of a KV pool for this model. */
  public KvPages.Spec kvSpec(int pages, DType dtype) {
    throw new UnsupportedOperationException();
  }

  /** What the model and a cache for it take in memory. */
  public ModelFootprint footprint() {
    throw new UnsupportedOperationException();
  }

  /** Whether it predicts tokens; an encoder has hidden states only, and every sequence of its batches must be whole. */
  public boolean hasLogits() {
    throw new UnsupportedOperationException();
  }

  /** Whether positions are rotary, so that {@link StepBatch#sinkPositions} may be given and no position is out of range. */
  public boolean isRotary() {
    throw new UnsupportedOperationException();
  }

  /** How many of the latest tokens any layer looks at, 0 for all: pages further back may be given up. */
  public int widestWindow() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    throw new UnsupportedOperationException();
  }
}
