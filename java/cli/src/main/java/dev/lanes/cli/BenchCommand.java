package dev.lanes.cli;

import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.engine.ModelProfile;
import dev.lanes.format.SyntheticModel;
import dev.lanes.model.Quantization;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lanes bench}: quick figures of this machine; {@code ci/bench.sh} of the source tree measures peers beside them. */
@Command(name = "bench", mixinStandardHelpOptions = true,
    description = "Times kernels, or a model: the bundled one where nothing else is named; nothing is downloaded.",
    subcommands = {BenchCommand.Kernels.class, BenchCommand.Model.class}, subcommandsRepeatable = false)
final class BenchCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    return spec.subcommands().get("model").execute();
  }

  /** What both benchmarks take. */
  private static final class Common {
    @Option(names = "--device", paramLabel = DeviceName.LABEL, defaultValue = "auto", converter = DeviceName.Converter.class,
        description = "Where to run; see lanes generate --help.")
    private DeviceName device;

    @Option(names = "--threads", paramLabel = "N", defaultValue = "0", description = "Threads; 0 for one for each CPU.")
    private int threads;

    @Option(names = "--json", description = "Print a JSON array.")
    private boolean json;
  }

  private static void announce(Console console, Common common, BackendInfo backend) {
    if (common.device.isAuto()) {
      console.remark("chose %s: %s", backend.name(), backend.why());
    }
  }

  private static void finish(Console console, Common common, List<Measurement> results) {
    if (common.json) {
      console.json(results.stream().map(Measurement::json).toList());
    }
  }

  /** {@code lanes bench kernels}. */
  @Command(name = "kernels", mixinStandardHelpOptions = true, description = "Times single kernels on random data.")
  static final class Kernels implements Callable<Integer> {
    private final Console console;

    @Mixin private Common common;

    @Option(names = "--seconds", paramLabel = "S", defaultValue = "0.5", description = "Time for each case (default: ${DEFAULT-VALUE}).")
    private double seconds;

    @Option(names = "--only", paramLabel = "REGEX", defaultValue = "", description = "Only cases whose name matches.")
    private String only;

    Kernels(Console console) {
      this.console = console;
    }

    @Override
    public Integer call() {
      Pattern cases = pattern();
      List<Measurement> results = new ArrayList<>();
      try (Backend backend = Backends.open(common.device.applyTo(BackendOptions.defaults()).withThreads(common.threads))) {
        announce(console, common, backend.info());
        new KernelBench(backend, seconds, cases, result -> {
          results.add(result);
          if (!common.json) {
            result.print(console);
          }
        }).run();
      }
      finish(console, common, results);
      return ExitCode.OK;
    }

    private Pattern pattern() {
      try {
        return Pattern.compile(only);
      } catch (PatternSyntaxException e) {
        throw new IllegalArgumentException("--only: " + e.getMessage(), e);
      }
    }
  }

  /** {@code lanes bench model}. */
  @Command(name = "model", mixinStandardHelpOptions = true,
      description = "Times prompt and output of a model, or of a synthetic one of a given shape: its weights are written to a temporary "
          + "folder and deleted afterwards.")
  static final class Model implements Callable<Integer> {
    private final Console console;

    @Mixin private Common common;

    /** Which of the two. */
    private static final class Subject {
      @Option(names = "--model", paramLabel = "DIR",
          description = "Hugging Face directory, or classpath:FOLDER (default: the bundled story teller).")
      private String model;

      @Option(names = "--shape", paramLabel = "NAME", description = "A synthetic model: 1.2b (2.5 GB of weights), 1.1b, 135m or 15m.")
      private String shape;
    }

    @ArgGroup private Subject subject = new Subject();

    @Option(names = "--prompt", paramLabel = "N", defaultValue = "512", description = "Tokens of the prompt (default: ${DEFAULT-VALUE}).")
    private int promptTokens;

    @Option(names = "--output", paramLabel = "N", defaultValue = "64", description = "Tokens of the output (default: ${DEFAULT-VALUE}).")
    private int outputTokens;

    @Option(names = "--rounds", paramLabel = "N", defaultValue = "3", description = "Repetitions (default: ${DEFAULT-VALUE}).")
    private int rounds;

    @Option(names = "--compute", paramLabel = "auto|exact|bf16|f16", defaultValue = "auto", converter = ComputeName.class,
        description = "See lanes generate --help.")
    private Optional<Compute> compute;

    @Option(names = "--quantize", paramLabel = "none|w8a8", defaultValue = "none", description = "See lanes generate --help.")
    private Quantization quantization;

    @Option(names = "--kv-dtype", paramLabel = "auto|f32|bf16|f16|int8", defaultValue = "auto", converter = CacheType.class,
        description = "Element type of keys and values.")
    private Optional<DType> cacheType;

    @Option(names = "--profile", description = "Also print where the time of a step goes: each op, calls, waiting threads.")
    private boolean profile;

    Model(Console console) {
      this.console = console;
    }

    @Override
    public Integer call() {
      if (promptTokens < 1 || outputTokens < 2 || rounds < 1) {
        throw new IllegalArgumentException("--prompt and --rounds need 1 or more, --output 2 or more");
      }
      if (subject.shape == null) {
        Path directory = ModelOptions.directory(subject.model);
        measure(directory, subject.model == null ? "tiny" : directory.toAbsolutePath().getFileName().toString());
      } else {
        measureSynthetic();
      }
      return ExitCode.OK;
    }

    private void measureSynthetic() {
      SyntheticModel shape = SyntheticModel.SHAPES.get(subject.shape);
      if (shape == null) {
        throw new IllegalArgumentException("--shape: '" + subject.shape + "' is unknown, expected one of "
            + String.join(", ", SyntheticModel.SHAPES.keySet()));
      }
      try {
        Path directory = Files.createTempDirectory("lanes-bench");
        try {
          shape.write(directory);
          measure(directory, subject.shape);
        } finally {
          delete(directory);
        }
      } catch (IOException e) {
        throw new ExitCode.UserError("cannot write the synthetic model: " + e, e);
      }
    }

    private void measure(Path directory, String modelName) {
      LoadOptions.Builder options = common.device.applyTo(LoadOptions.builder()).threads(common.threads).quantization(quantization)
          .prefixCache(false).cacheTokens(promptTokens + outputTokens).profile(profile);
      compute.ifPresent(options::compute);
      cacheType.ifPresent(options::cacheType);
      double[] prefill = new double[rounds];
      double[] decode = new double[rounds];
      long start = System.nanoTime();
      try (LanguageModel model = Lanes.load(directory, options.build())) {
        announce(console, common, model.info().backend());
        console.remark("%s", ModelOptions.numbers(model.info()));
        double load = 1e-9 * model.info().memory().weightBytes() / ((System.nanoTime() - start) * 1e-9);
        int[] prompt = new SplittableRandom(1).ints(promptTokens, 0, model.info().config().vocabSize()).toArray();
        GenerationOptions generation = GenerationOptions.builder().maxTokens(outputTokens).ignoreEos(true).build();
        model.generate(prompt, generation);
        model.resetProfile();
        for (int i = 0; i < rounds; i++) {
          Generation result = model.generate(prompt, generation);
          prefill[i] = result.stats().prefillTokensPerSecond();
          decode[i] = result.stats().decodeTokensPerSecond();
        }
        String name = modelName + (quantization == Quantization.NONE ? "" : " w8a8") + switch (model.info().compute()) {
          case BF16 -> " bf16-dot ";
          case F16 -> " f16-dot ";
          case EXACT, INT8 -> " ";
        } + model.info().backend().isa();
        List<Measurement> results = List.of(
            Measurement.of(name + " load", "GB/s", load),
            Measurement.of(name + " prefill " + promptTokens, "tokens/s", prefill),
            Measurement.of(name + " decode " + outputTokens + " after " + promptTokens, "tokens/s", decode));
        if (!common.json) {
          results.forEach(result -> result.print(console));
          model.profile().ifPresent(this::print);
        }
        finish(console, common, results);
      }
    }

    private void print(ModelProfile steps) {
      console.line("%nprefill, steps of %.0f tokens", steps.prefill().tokens() / (double) Math.max(1, steps.prefill().steps()));
      steps.prefill().table().forEach(line -> console.line("%s", line));
      console.line("%ndecode");
      steps.decode().table().forEach(line -> console.line("%s", line));
    }

    private static void delete(Path directory) throws IOException {
      Files.walkFileTree(directory, new SimpleFileVisitor<>() {
        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
          Files.delete(file);
          return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult postVisitDirectory(Path folder, IOException failure) throws IOException {
          Files.delete(folder);
          return FileVisitResult.CONTINUE;
        }
      });
    }
  }
}
