package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;

/** What a model takes in memory, known before anything is allocated. */
public final class ModelFootprint {
  private ModelFootprint() {}

  /**
   * Sums up a model without loading it.
   *
   * @throws dev.lanes.error.InvalidModelException as {@link TransformerModel#load} does for the same files
   */
  public static ModelFootprint of(Checkpoint checkpoint, ModelConfig config, Backend backend, ModelOptions options) {
    throw new UnsupportedOperationException();
  }

  /** Bytes of all weights in the backend's memory, padding included. */
  public long weightBytes() {
    throw new UnsupportedOperationException();
  }

  /** Bytes that keys and values of one token take in all layers. */
  public long kvBytesPerToken(DType dtype) {
    throw new UnsupportedOperationException();
  }

  /** The shape of a KV pool for this model. */
  public KvPages.Spec kvSpec(int pages, DType dtype) {
    throw new UnsupportedOperationException();
  }

  /** Bytes of a pool of so many pages. */
  public long kvBytes(int pages, DType dtype) {
    throw new UnsupportedOperationException();
  }

  /** Bytes of the buffers that steps of up to {@code stepTokens} tokens, {@code logitRows} of them with logits, need. */
  public long scratchBytes(int stepTokens, int logitRows) {
    throw new UnsupportedOperationException();
  }

  /**
   * Refuses what does not fit.
   *
   * @param availableBytes see {@link SystemMemory#availableBytes()}
   * @throws dev.lanes.error.InsufficientMemoryException with the sum of weights, cache and buffers, if it is more than that
   */
  public void requireFits(int pages, DType kvType, int stepTokens, int logitRows, long availableBytes) {
    throw new UnsupportedOperationException();
  }
}
