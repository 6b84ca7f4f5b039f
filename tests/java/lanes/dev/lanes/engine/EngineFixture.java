package dev.lanes.engine;

import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.cache.KvCache;
import dev.lanes.context.ContextLimits;
import dev.lanes.context.ContextPlan;
import dev.lanes.context.ContextPolicy;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.ModelOptions;
import dev.lanes.model.ProgressListener;
import dev.lanes.model.TransformerModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.function.UnaryOperator;

/** An engine around a model of {@link TinyCheckpoint}. Pages are recounted after each step and filled with NaN before use. */
final class EngineFixture implements AutoCloseable {
  /** What may be chosen. */
  record Setup(BackendOptions.Device device, int threads, int pages, int stepTokens, int maxBatch, boolean prefixReuse,
      boolean poison, UnaryOperator<StepFunction> wrap) {
    static Setup of(BackendOptions.Device device) {
      return new Setup(device, 1, 64, 32, 64, false, true, step -> step);
    }

    Setup withThreads(int value) {
      return new Setup(device, value, pages, stepTokens, maxBatch, prefixReuse, poison, wrap);
    }

    Setup withPages(int value) {
      return new Setup(device, threads, value, stepTokens, maxBatch, prefixReuse, poison, wrap);
    }

    Setup withStepTokens(int value) {
      return new Setup(device, threads, pages, value, maxBatch, prefixReuse, poison, wrap);
    }

    Setup withMaxBatch(int value) {
      return new Setup(device, threads, pages, stepTokens, value, prefixReuse, poison, wrap);
    }

    Setup withPrefixReuse() {
      return new Setup(device, threads, pages, stepTokens, maxBatch, true, poison, wrap);
    }

    /** Pages are used as they come. */
    Setup withoutPoison() {
      return new Setup(device, threads, pages, stepTokens, maxBatch, prefixReuse, false, wrap);
    }

    Setup withStep(UnaryOperator<StepFunction> value) {
      return new Setup(device, threads, pages, stepTokens, maxBatch, prefixReuse, poison, value);
    }
  }

  final Backend backend;
  final TransformerModel model;
  final KvCache cache;
  final Engine engine;
  private final Semaphore gate = new Semaphore(1);

  EngineFixture(Path directory, Setup setup) {
    backend = Backends.open(new BackendOptions(setup.device, setup.threads, BackendOptions.Isa.AUTO));
    ModelConfig config = ModelConfig.load(directory);
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      model = TransformerModel.load(checkpoint, config, backend, ModelOptions.defaults(), ProgressListener.NONE);
    }
    cache = new KvCache(backend, model.kvSpec(setup.pages, DType.F32), new KvCache.Options(setup.prefixReuse, setup.poison));
    EngineConfig engineConfig =
        new EngineConfig(!model.hasLogits(), model.widestWindow(), setup.stepTokens, setup.maxBatch, true);
    StepFunction steps = setup.wrap.apply(model::forward);
    engine = new Engine(engineConfig, backend, batch -> {
      gate.acquireUninterruptibly();
      gate.release();
      return steps.forward(batch);
    }, cache);
  }

  /** Defaults: greedy with log-probabilities, no end tokens. */
  record Ask(int[] prompt, int maxTokens, ContextPolicy policy, int limit, Sampling sampling, int[] endTokens) {
    static Ask of(int[] prompt, int maxTokens) {
      return new Ask(prompt, maxTokens, ContextPolicy.reject(), TinyCheckpoint.POSITIONS, new Sampling(0, 0, 1, 0, 1, 0, 0), new int[0]);
    }

    Ask with(ContextPolicy value) {
      return new Ask(prompt, maxTokens, value, limit, sampling, endTokens);
    }

    Ask withLimit(int value) {
      return new Ask(prompt, maxTokens, policy, value, sampling, endTokens);
    }

    Ask with(Sampling value) {
      return new Ask(prompt, maxTokens, policy, limit, value, endTokens);
    }

    Ask withEnd(int... value) {
      return new Ask(prompt, maxTokens, policy, limit, sampling, value);
    }

    GenerationRequest request() {
      ContextPlan plan = ContextPlan.of(policy, new ContextLimits(limit, TinyCheckpoint.POSITIONS, true), prompt.length, maxTokens);
      return new GenerationRequest(plan.keep(prompt), plan, maxTokens, sampling, endTokens, List.of(), null);
    }
  }

  /** Starts all before the first of them takes a step, the last one first. */
  Collector[] startTogether(List<Ask> asks) {
    Collector[] running = new Collector[asks.size()];
    gate.acquireUninterruptibly();
    try {
      for (int i = running.length - 1; i >= 0; i--) {
        running[i] = start(asks.get(i));
      }
    } finally {
      gate.release();
    }
    return running;
  }

  Collector start(Ask ask) {
    Collector collector = new Collector();
    engine.generate(ask.request(), collector);
    return collector;
  }

  Collector run(Ask ask) throws Exception {
    Collector collector = start(ask);
    collector.await();
    return collector;
  }

  int freePages() {
    return cache.stats().availablePages();
  }

  /** Random ids of ordinary tokens. */
  static int[] prompt(Random random, int length) {
    return random.ints(length, 0, 256).toArray();
  }

  @Override
  public void close() {
    engine.close();
    cache.close();
    model.close();
    backend.close();
  }
}
