package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import java.util.List;
import java.util.Objects;

/**
 * A loaded model: weights in a backend's memory and the one forward pass that all architectures share. {@link #forward} and
 * {@link #close} may be called from any thread and take turns.
 */
public final class TransformerModel implements AutoCloseable {
  private final ModelConfig config;
  private final ModelFootprint footprint;
  private final Backend backend;
  private final ModelShape shape;
  private final WeightLoader.Loaded loaded;
  private final Scratch scratch;
  private final ForwardPass pass;
  /** Those of the last step: steps come with the same pages again and again. */
  private KvPages.Spec checkedPages;
  private boolean closed;

  private TransformerModel(
      ModelConfig config, ModelFootprint footprint, Backend backend, ModelOptions options, WeightLoader.Loaded loaded) {
    this.config = config;
    this.footprint = footprint;
    this.backend = backend;
    this.shape = ModelShape.of(config);
    this.loaded = loaded;
    ComputeChoice compute = ComputeChoice.of(options.compute(), backend.info());
    this.scratch = new Scratch(backend, shape, InputForms.of(loaded.weights(), shape, compute));
    double[] frequencies = config.rope().map(rope -> RopeFrequencies.of(rope, options.ropeType())).orElseGet(() -> new double[0]);
    this.pass = new ForwardPass(backend, shape, loaded.weights(), frequencies, compute, scratch);
  }

  /**
   * Reads the weights. The checkpoint is no longer needed afterwards.
   *
   * @throws dev.lanes.error.InvalidModelException if a tensor is missing or has not the shape or type that the configuration asks for
   * @throws dev.lanes.error.InsufficientMemoryException if the weights do not fit into free memory; thrown before any is allocated
   */
  public static TransformerModel load(
      Checkpoint checkpoint, ModelConfig config, Backend backend, ModelOptions options, ProgressListener progress) {
    Objects.requireNonNull(progress, "progress");
    var plan = WeightPlan.of(checkpoint, config, options);
    ModelFootprint footprint = ModelFootprint.of(plan, config, backend, options);
    footprint.requireFits(0, DType.F32, 0, 0, backend.availableBytes());
    WeightLoader.Loaded loaded = WeightLoader.load(checkpoint, plan, backend, progress);
    return new TransformerModel(config, footprint, backend, options, loaded);
  }

  /** Allocates the buffers for steps of up to so many tokens and logit rows now, instead of when such a step first comes. */
  public synchronized void prepare(int stepTokens, int logitRows) {
    requireOpen();
    scratch.reserve(stepTokens, logitRows);
  }

  /**
   * Runs one step. The output's tensors belong to the model and are overwritten by its next step.
   *
   * @throws IllegalArgumentException if the batch contradicts itself or the model
   * @throws IllegalStateException if the model is closed
   */
  public synchronized StepOutput forward(StepBatch batch) {
    requireOpen();
    check(batch);
    return pass.run(batch);
  }

  public ModelConfig config() {
    return config;
  }

  public Backend backend() {
    return backend;
  }

  /** The shape of a KV pool for this model. */
  public KvPages.Spec kvSpec(int pages, DType dtype) {
    return shape.kvSpec(pages, dtype);
  }

  /** What the model and a cache for it take in memory. */
  public ModelFootprint footprint() {
    return footprint;
  }

  /** Whether it predicts tokens; an encoder has hidden states only, and every sequence of its batches must be whole. */
  public boolean hasLogits() {
    return shape.logits();
  }

  /** Whether positions are rotary: {@link StepBatch#sinkPositions} may be given, and positions have no upper end. */
  public boolean isRotary() {
    return shape.rotaryHalf() > 0;
  }

  /** How many of the latest tokens any layer looks at, 0 for all: pages further back may be given up. */
  public int widestWindow() {
    return shape.widestWindow();
  }

  /**
   * The packed weights of a group of linear layers, one for each of {@link LinearGroup#fused()}. They belong to the model.
   *
   * @param key of a group that {@link LinearGroups#of} finds in the model's checkpoint
   */
  public List<PackedWeight> weights(LinearGroup.Key key) {
    return LinearGroups.weights(loaded.weights(), key);
  }

  /** Frees weights and buffers, after the step that runs. Closing twice does nothing. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      scratch.close();
      IllegalStateException failure = new IllegalStateException("the model could not be closed in full");
      WeightLoader.closeAll(loaded.owned(), failure);
      if (failure.getSuppressed().length > 0) {
        throw failure;
      }
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the model is closed");
    }
  }

  private void check(StepBatch batch) {
    Op.Ragged ragged = batch.ragged();
    int tokens = batch.tokens().length;
    require(tokens > 0, "a step needs at least one token");
    require(batch.positions().length == tokens && batch.slots().length == tokens && ragged.tokens() == tokens,
        "%d tokens, but %d positions, %d slots and sequences of %d tokens in all", tokens, batch.positions().length, batch.slots().length,
        ragged.tokens());
    checkPages(batch.pages().spec());
    checkPositions(batch.positions());
    if (batch.sinkPositions() != null) {
      require(isRotary(), "positions can be re-numbered only where they are rotary; %s learns them", config.architecture());
      require(batch.sinkPositions().length == tokens, "%d tokens, but %d sink positions", tokens, batch.sinkPositions().length);
    }
    require(shape.logits() || batch.logitRows().length == 0, "%s has no LM head", config.architecture());
    for (int i = 0; i < batch.logitRows().length; i++) {
      int row = batch.logitRows()[i];
      require(row > (i == 0 ? -1 : batch.logitRows()[i - 1]) && row < tokens,
          "logitRows[%d] is %d; expected ascending rows below %d", i, row, tokens);
    }
    if (!shape.causal()) {
      for (int s = 0; s < ragged.sequences(); s++) {
        long queries = ragged.queryBegin()[s + 1] - ragged.queryBegin()[s];
        require(queries == ragged.keyCount()[s], "sequence %d has %d of its %d tokens in the step; an encoder needs all of them", s,
            queries, ragged.keyCount()[s]);
      }
    }
  }

  private void checkPages(KvPages.Spec spec) {
    if (spec != checkedPages) {
      KvPages.Spec ours = shape.kvSpec(spec.pages(), spec.dtype());
      require(spec.equals(ours), "the KV pages %s are not those of this model, %s", spec, ours);
      checkedPages = spec;
    }
  }

  private void checkPositions(long[] positions) {
    long limit = shape.learnedPositions() ? shape.maxPositions() : Long.MAX_VALUE;
    for (long position : positions) {
      require(position >= 0 && position < limit, "position %d; expected at least 0 and below %d", position, limit);
    }
  }

  private static void require(boolean condition, String message, Object... values) {
    if (!condition) {
      throw new IllegalArgumentException(String.format(message, values));
    }
  }
}
