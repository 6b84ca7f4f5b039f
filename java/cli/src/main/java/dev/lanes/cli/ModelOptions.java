package dev.lanes.cli;

import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.MemoryFootprint;
import dev.lanes.ModelInfo;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.Quantization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Option;

/** The options that say which model to load and how. */
final class ModelOptions {
  /** Where {@code dev.lanes:lanes-tiny-model} has its files. */
  static final String BUNDLED = "classpath:dev/lanes/tiny";

  @Option(names = "--model", paramLabel = "DIR",
      description = "Hugging Face directory: config.json, *.safetensors and, for text, tokenizer.json; or classpath:FOLDER of a jar "
          + "(default: the bundled story teller, " + BUNDLED + ").")
  private String model;

  @Option(names = "--device", paramLabel = DeviceName.LABEL, defaultValue = "auto", converter = DeviceName.Converter.class,
      description = "Where to run: auto takes a GPU where there is one and the model fits into its memory, and says what it chose and why.")
  private DeviceName device;

  @Option(names = "--threads", paramLabel = "N", defaultValue = "0", description = "Threads; 0 for one for each CPU.")
  private int threads;

  @Option(names = "--pin-threads", description = "Keep each thread but the first on a CPU of its own.")
  private boolean pinnedThreads;

  @Option(names = "--isa", paramLabel = "ISA", defaultValue = "auto", description = "auto, avx512, avx2, neon or reference.")
  private String isa;

  @Option(names = "--context", paramLabel = "N", description = "Tokens that prompt and output share (default: what the model was made for).")
  private Integer context;

  @Option(names = "--dtype", paramLabel = "f32|bf16|f16", description = "Element type of the weights in memory (default: as stored).")
  private DType weightType;

  @Option(names = "--quantize", paramLabel = "none|w8a8", defaultValue = "none",
      description = "w8a8: float linear layers become int8 while loading, their inputs int8 for each token. W8A8 checkpoints need no asking.")
  private Quantization quantization;

  @Option(names = "--quantize-head", description = "Token embedding and LM head become int8 while loading.")
  private boolean quantizeHead;

  @Option(names = "--compute", paramLabel = "auto|exact|bf16|f16", defaultValue = "auto", converter = ComputeName.class,
      description = "exact: float32 activations; bf16, f16: faster with weights of that type, activations rounded. auto: exact on a CPU, "
          + "the weights' own type on a GPU (default: ${DEFAULT-VALUE}).")
  private Optional<Compute> compute;

  @Option(names = "--rope-dtype", paramLabel = "f32|bf16", defaultValue = "f32",
      description = "bf16 rounds rotary frequencies to bfloat16, as a model that was cast to bfloat16 as a whole computes.")
  private DType ropeType;

  @Option(names = "--kv-dtype", paramLabel = "auto|f32|bf16|f16|int8", defaultValue = "auto", converter = CacheType.class,
      description = "Element type of keys and values in the cache; int8 with a scale for each token and head. auto: f32 on a CPU, on a GPU "
          + "the type that layers multiply in (default: ${DEFAULT-VALUE}).")
  private Optional<DType> cacheType;

  @Option(names = "--kv-bytes", paramLabel = "BYTES", converter = ByteCount.class,
      description = "The most memory for keys and values, such as 512M or 4G.")
  private Long cacheBytes;

  @Option(names = "--step-tokens", paramLabel = "N", defaultValue = "512",
      description = "The most tokens in one step; longer prompts go through in chunks.")
  private int stepTokens;

  @Option(names = "--quiet", description = "No progress bar and no timings on stderr.")
  private boolean quiet;

  boolean quiet() {
    return quiet;
  }

  /** The context asked for, or null. */
  Integer context() {
    return context;
  }

  /** Without --context, loads the model with no longer a context than this. */
  void limitContext(int tokens) {
    if (context == null) {
      context = Math.min(tokens, ModelConfig.load(directory()).maxPositions());
    }
  }

  /** The model's directory; that of the bundled model where none is named. */
  Path directory() {
    return directory(model);
  }

  static Path directory(String model) {
    if (model == null && !Lanes.isOnClassPath(BUNDLED)) {
      throw new ExitCode.UserError("no model: name a Hugging Face directory with --model DIR (config.json, *.safetensors, tokenizer.json)");
    }
    return Lanes.directory(model == null ? BUNDLED : model);
  }

  /** The model's files and how they are loaded, in words that change when results may; without what the device decides. */
  String identity() {
    Path directory = directory().toAbsolutePath().normalize();
    StringBuilder identity = new StringBuilder(directory.toString());
    identity.append(' ').append(weightType).append(' ').append(quantization).append(quantizeHead).append(' ').append(ropeType);
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        identity.append('\n').append(file.getFileName()).append(' ').append(Files.size(file)).append(' ').append(Files.getLastModifiedTime(file));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + directory + ": " + e.getMessage(), e);
    }
    return identity.toString();
  }

  LoadOptions.Builder loadOptions() {
    LoadOptions.Builder options = device.applyTo(LoadOptions.builder()).threads(threads).pinnedThreads(pinnedThreads).isa(isa)
        .quantization(quantization).quantizeHead(quantizeHead).ropeType(ropeType).stepTokens(stepTokens);
    compute.ifPresent(options::compute);
    cacheType.ifPresent(options::cacheType);
    if (context != null) {
      options.contextLength(context);
    }
    if (weightType != null) {
      options.weightType(weightType);
    }
    if (cacheBytes != null) {
      options.cacheBytes(cacheBytes);
    }
    return options;
  }

  /** Loads the model, with a bar where a person watches; says what it takes before and how long it took after. */
  LanguageModel load(Console console) {
    Path directory = directory();
    if (quiet) {
      return Lanes.load(directory, loadOptions().build());
    }
    MemoryFootprint memory = Lanes.footprint(directory, loadOptions().build());
    console.remark("loading %s: weights %s + cache %s (%d tokens) + buffers %s = %s of %s %s free", directory,
        Console.bytes(memory.weightBytes()), Console.bytes(memory.cacheBytes()), memory.cacheTokens(), Console.bytes(memory.scratchBytes()),
        Console.bytes(memory.totalBytes()), Console.bytes(memory.availableBytes()), memory.memory());
    long start = System.nanoTime();
    LanguageModel loaded = Console.isInteractive() ? loadWithBar(console, directory) : Lanes.load(directory, loadOptions().build());
    double seconds = (System.nanoTime() - start) * 1e-9;
    BackendInfo backend = loaded.info().backend();
    console.remark("loaded in %.2f s (%.2f GB/s of weights), %s, %s", seconds, memory.weightBytes() * 1e-9 / seconds, backend.isGpu()
        ? backend.isa() + " on " + backend.device() : backend.isa() + " on " + backend.threads() + " threads", numbers(loaded.info()));
    if (device.isAuto()) {
      console.remark("chose %s: %s", backend.name(), backend.why());
    }
    return loaded;
  }

  /** How it computes, as asked for or chosen. */
  static String numbers(ModelInfo info) {
    return "compute " + ComputeName.name(info.compute()) + ", cache of " + CacheType.name(info.cacheType());
  }

  private LanguageModel loadWithBar(Console console, Path directory) {
    ProgressBarBuilder builder = new ProgressBarBuilder().setTaskName("loading").setStyle(ProgressBarStyle.ASCII).setUnit("MiB", 1 << 20)
        .setUpdateIntervalMillis(100).setConsumer(new ConsoleProgressBarConsumer(console.err()));
    try (ProgressBar bar = builder.build()) {
      return Lanes.load(directory, loadOptions().progress((done, total) -> bar.maxHint(total).stepTo(done)).build());
    }
  }
}
