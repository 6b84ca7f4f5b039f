package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.error.InsufficientMemoryException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import java.util.Locale;
import java.util.stream.Stream;

/** What a model takes in memory, known before anything is allocated. */
public final class ModelFootprint {
  private final Backend backend;
  private final ModelShape shape;
  private final InputForms forms;
  private final long weightBytes;
  private final Compute compute;
  private final DType cacheType;

  private ModelFootprint(Backend backend, ModelWeights<WeightPlan.Matrix, WeightPlan.Vector> plan, ModelShape shape, long weightBytes,
      ComputeChoice choice) {
    this.backend = backend;
    this.shape = shape;
    this.forms = InputForms.of(plan, shape, choice);
    this.weightBytes = weightBytes;
    this.compute = choice.of(plan.layers().get(0).qkv().weights().get(0).dtype());
    this.cacheType = backend.info().isGpu() ? cacheType(choice.of(floatType(plan))) : DType.F32;
  }

  /**
   * Sums up a model without loading it.
   *
   * @throws dev.lanes.error.InvalidModelException as {@link TransformerModel#load} does for the same files
   */
  public static ModelFootprint of(Checkpoint checkpoint, ModelConfig config, Backend backend, ModelOptions options) {
    return of(WeightPlan.of(checkpoint, config, options), config, backend, options);
  }

  static ModelFootprint of(ModelWeights<WeightPlan.Matrix, WeightPlan.Vector> plan, ModelConfig config, Backend backend,
      ModelOptions options) {
    long[] bytes = {0};
    plan.map(
        matrix -> bytes[0] += backend.weightBytes(matrix.rows(), matrix.columns(), matrix.dtype()),
        vector -> bytes[0] += (long) vector.length() * Float.BYTES);
    return new ModelFootprint(backend, plan, ModelShape.of(config), bytes[0], ComputeChoice.of(options.compute(), backend.info()));
  }

  /** That of the layers; where they are int8, that of the token embedding, which may be int8 as well. */
  private static DType floatType(ModelWeights<WeightPlan.Matrix, WeightPlan.Vector> plan) {
    return plan.layers().stream()
        .flatMap(layer -> Stream.concat(layer.qkv().weights().stream(), layer.attentionOutput().weights().stream()))
        .map(WeightPlan.Matrix::dtype).filter(DType::isFloat).findFirst().orElse(plan.tokens().dtype());
  }

  /** No finer than the products of the layers. */
  private static DType cacheType(Compute compute) {
    return switch (compute) {
      case EXACT -> DType.F32;
      case F16 -> DType.F16;
      case BF16, INT8 -> DType.BF16;
    };
  }

  /** How the layers multiply; some of a quantized model may do otherwise. */
  public Compute compute() {
    return compute;
  }

  /**
   * Element type of keys and values when none is asked for: float32 on a CPU. On a GPU, where attention over 16-bit types runs on tensor
   * cores, it is the type that the layers multiply in.
   */
  public DType cacheType() {
    return cacheType;
  }

  /** Bytes of all weights in the backend's memory, padding included. */
  public long weightBytes() {
    return weightBytes;
  }

  /** Bytes that keys and values of one token take in all layers. */
  public long kvBytesPerToken(DType dtype) {
    return kvBytes(1, dtype) / KvPages.PAGE_TOKENS;
  }

  /** The shape of a KV pool for this model. */
  public KvPages.Spec kvSpec(int pages, DType dtype) {
    return shape.kvSpec(pages, dtype);
  }

  /** Bytes of a pool of so many pages. */
  public long kvBytes(int pages, DType dtype) {
    return pages == 0 ? 0 : backend.kvBytes(shape.kvSpec(pages, dtype));
  }

  /** Bytes of the buffers that steps of up to {@code stepTokens} tokens, {@code logitRows} of them with logits, need. */
  public long scratchBytes(int stepTokens, int logitRows) {
    return Scratch.bytes(shape, forms, stepTokens, logitRows);
  }

  /** Weights, cache and buffers together. */
  public long totalBytes(int pages, DType kvType, int stepTokens, int logitRows) {
    return Math.addExact(Math.addExact(weightBytes, kvBytes(pages, kvType)), scratchBytes(stepTokens, logitRows));
  }

  /**
   * Refuses what does not fit.
   *
   * @param availableBytes see {@link Backend#availableBytes()}
   * @throws dev.lanes.error.InsufficientMemoryException with the sum of weights, cache and buffers, if it is more than that
   */
  public void requireFits(int pages, DType kvType, int stepTokens, int logitRows, long availableBytes) {
    long total = totalBytes(pages, kvType, stepTokens, logitRows);
    if (total > availableBytes) {
      throw new InsufficientMemoryException(String.format(Locale.ROOT,
          "the model does not fit into %s: weights %s + KV cache %s (%,d tokens, %s a token as %s) + buffers %s (steps of %,d tokens)"
              + " = %s, but only %s are available; use a shorter context, a smaller cache or a smaller model",
          backend.info().memory(), mebibytes(weightBytes), mebibytes(kvBytes(pages, kvType)), (long) pages * KvPages.PAGE_TOKENS,
          kibibytes(kvBytesPerToken(kvType)), kvType, mebibytes(scratchBytes(stepTokens, logitRows)), stepTokens, mebibytes(total),
          mebibytes(availableBytes)), total, availableBytes);
    }
  }

  /** What {@link #requireFits} would say, for {@link dev.lanes.backend.Backends#open}; null if it would not. */
  public String objection(int pages, DType kvType, int stepTokens, int logitRows, long availableBytes) {
    try {
      requireFits(pages, kvType, stepTokens, logitRows, availableBytes);
      return null;
    } catch (InsufficientMemoryException e) {
      return e.getMessage();
    }
  }

  private static String mebibytes(long bytes) {
    return String.format(Locale.ROOT, "%,.1f MiB", bytes / (double) (1 << 20));
  }

  private static String kibibytes(long bytes) {
    return String.format(Locale.ROOT, "%,.1f KiB", bytes / 1024.0);
  }
}
