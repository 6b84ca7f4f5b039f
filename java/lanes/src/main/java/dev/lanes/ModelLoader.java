package dev.lanes;

import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.ProfiledBackend;
import dev.lanes.cache.KvCache;
import dev.lanes.engine.Engine;
import dev.lanes.engine.EngineConfig;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.GenerationConfig;
import dev.lanes.format.ModelConfig;
import dev.lanes.format.TokenizerConfig;
import dev.lanes.model.ModelFootprint;
import dev.lanes.model.ModelOptions;
import dev.lanes.model.TransformerModel;
import dev.lanes.token.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** Puts a model together from its directory. */
final class ModelLoader {
  private final Path directory;
  private final LoadOptions options;
  private final ModelConfig config;
  private final int contextLength;
  private final EngineConfig engine;

  /** Reads the configuration only. */
  ModelLoader(Path directory, LoadOptions options) {
    this.directory = Objects.requireNonNull(directory, "directory is null");
    this.options = Objects.requireNonNull(options, "options is null");
    config = ModelConfig.load(directory);
    contextLength = options.contextLength().orElse(config.maxPositions());
    if (contextLength > config.maxPositions()) {
      throw new IllegalArgumentException("contextLength is " + contextLength + ", expected at most " + config.maxPositions()
          + ", the context that " + config.file() + " states");
    }
    engine = new EngineConfig(isEncoder(), 0, options.stepTokens(), options.maxBatch(), Boolean.getBoolean(EngineConfig.CHECK_PROPERTY));
  }

  MemoryFootprint footprint() {
    try (Checkpoint checkpoint = Checkpoint.open(directory); Backend backend = openBackend(checkpoint)) {
      return footprint(ModelFootprint.of(checkpoint, config, backend, modelOptions()), backend);
    }
  }

  LanguageModel load() {
    ModelResources resources = new ModelResources(directory);
    try {
      return load(resources);
    } catch (Throwable t) {
      try {
        resources.release();
      } catch (RuntimeException e) {
        t.addSuppressed(e);
      }
      throw t;
    }
  }

  private LanguageModel load(ModelResources resources) {
    Optional<GenerationConfig> generation = GenerationConfig.load(directory);
    TokenizerConfig tokenizerConfig = TokenizerConfig.load(directory);
    Optional<Tokenizer> tokenizer = Tokenizer.load(directory);
    tokenizer.ifPresent(resources::hold);
    resources.tokenizer = tokenizer.orElse(null);
    ChatRenderer chat = new ChatRenderer(directory, tokenizerConfig);

    MemoryFootprint memory;
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      Backend backend = resources.hold(openBackend(checkpoint));
      resources.backend = options.profile() ? new ProfiledBackend(backend) : backend;
      ModelFootprint footprint = ModelFootprint.of(checkpoint, config, resources.backend, modelOptions());
      memory = footprint(footprint, backend);
      footprint.requireFits(KvCache.pagesFor(memory.cacheTokens()), cacheType(footprint), engine.maxStepTokens(contextLength),
          engine.logitRows(), memory.availableBytes());
      resources.model = resources.hold(TransformerModel.load(checkpoint, config, resources.backend, modelOptions(),
          (done, total, tensor) -> options.progress().update(done, total)));
    }
    resources.model.prepare(engine.maxStepTokens(contextLength), engine.logitRows());
    DType cacheType = cacheType(resources.model.footprint());
    resources.cache = resources.hold(new KvCache(resources.backend,
        resources.model.kvSpec(KvCache.pagesFor(memory.cacheTokens()), cacheType),
        KvCache.Options.defaults().withPrefixReuse(options.prefixCache())));
    resources.engine = resources.hold(new Engine(engine.withModelWindow(resources.model.widestWindow()), resources.backend,
        resources.model::forward, resources.cache));
    ModelInfo info = new ModelInfo(directory, config, isEncoder(), tokenizer.isPresent(), chat.hasTemplate(), contextLength, memory,
        resources.backend.info(), resources.model.footprint().compute(), cacheType);
    return new LoadedModel(resources, info, endTokens(generation, tokenizerConfig, tokenizer), chat);
  }

  private Backend openBackend(Checkpoint checkpoint) {
    return Backends.open(backendOptions(), gpu -> {
      ModelFootprint footprint = ModelFootprint.of(checkpoint, config, gpu, modelOptions());
      MemoryFootprint memory = footprint(footprint, gpu);
      return footprint.objection(KvCache.pagesFor(memory.cacheTokens()), cacheType(footprint), engine.maxStepTokens(contextLength),
          engine.logitRows(), memory.availableBytes());
    });
  }

  private BackendOptions backendOptions() {
    BackendOptions backend = BackendOptions.defaults();
    if (options.device() != Device.AUTO) {
      backend = backend.withDevice(BackendOptions.Device.valueOf(options.device().name()));
    }
    if (options.deviceIndex() > 0) {
      backend = backend.withDeviceIndex(options.deviceIndex());
    }
    if (options.threads() > 0) {
      backend = backend.withThreads(options.threads());
    }
    if (!options.isa().equals("auto")) {
      backend = backend.withIsa(BackendOptions.Isa.valueOf(options.isa().toUpperCase(Locale.ROOT)));
    }
    if (options.pinnedThreads()) {
      backend = backend.withPinned(true);
    }
    return backend.withOwnThreads(options.ownThreads());
  }

  private ModelOptions modelOptions() {
    return new ModelOptions(options.weightType(), options.quantization(), options.quantizeHead(), options.compute(), options.ropeType());
  }

  private DType cacheType(ModelFootprint footprint) {
    return options.cacheType().orElseGet(footprint::cacheType);
  }

  private boolean isEncoder() {
    return config.family() == ModelConfig.Family.BERT;
  }

  private MemoryFootprint footprint(ModelFootprint footprint, Backend backend) {
    long available = backend.availableBytes();
    long scratch = footprint.scratchBytes(engine.maxStepTokens(contextLength), engine.logitRows());
    DType cacheType = cacheType(footprint);
    int pages = CacheSize.pages(options, footprint, cacheType, contextLength, footprint.weightBytes() + scratch, available);
    return new MemoryFootprint(backend.info().memory(), footprint.weightBytes(), footprint.kvBytes(pages, cacheType), scratch,
        (int) Math.min(Integer.MAX_VALUE, pages * (long) KvPages.PAGE_TOKENS),
        footprint.kvBytesPerToken(cacheType), contextLength, available);
  }

  /** generation_config.json decides, then config.json, then the tokenizer's end token. */
  private int[] endTokens(Optional<GenerationConfig> generation, TokenizerConfig tokenizerConfig, Optional<Tokenizer> tokenizer) {
    List<Integer> stated = Stream.of(generation.map(GenerationConfig::eosTokenIds).orElse(List.of()), config.tokens().eos())
        .filter(ids -> !ids.isEmpty()).findFirst().orElse(List.of());
    if (!stated.isEmpty() || tokenizer.isEmpty()) {
      return stated.stream().mapToInt(Integer::intValue).toArray();
    }
    return tokenizerConfig.specialToken("eos_token").map(token -> tokenizer.get().tokenId(token)).stream()
        .filter(id -> id.isPresent()).mapToInt(id -> id.getAsInt()).toArray();
  }
}
