package dev.lanes.quantize;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Backends;
import dev.lanes.backend.DType;
import dev.lanes.backend.PackedWeight;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.FloatTensors;
import dev.lanes.format.Json;
import dev.lanes.format.ModelConfig;
import dev.lanes.format.TensorInfo;
import dev.lanes.model.LinearGroup;
import dev.lanes.model.LinearGroups;
import dev.lanes.model.ModelFootprint;
import dev.lanes.model.ModelOptions;
import dev.lanes.model.ProgressListener;
import dev.lanes.model.TransformerModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Makes a W8A8 checkpoint of a float one: calibrates, smooths and rounds each group of linear layers, decides what stays float, writes, and
 * compares what it wrote with the original. Needs memory for the float model, then for the quantized one beside it; the heap holds a few
 * matrices at a time and a sample of the activations.
 */
public final class CheckpointQuantizer {
  /** The report, beside the weights. */
  public static final String REPORT = "quantization_report.json";

  /** Heap for sampled activations. */
  private static final long SAMPLE_BYTES = 512L << 20;
  /** Floats of logits of the original that are kept while float layers are chosen. */
  private static final long MOST_LOGITS = 64L << 20;
  private static final int RANKING_TOKENS = 2048;
  private static final int FEWEST_ROWS = 64;
  private static final int MOST_ROWS = 4096;

  private final Path source;
  private final Path target;
  private final QuantizeOptions options;
  private final ModelConfig config;
  private final List<Pattern> patterns = new ArrayList<>();

  private CheckpointQuantizer(Path source, Path target, QuantizeOptions options) {
    this.source = source;
    this.target = target;
    this.options = options;
    config = ModelConfig.load(source);
    if (config.quantization().isPresent()) {
      throw new UnsupportedModelException(config.file(), "quantization_config", "the model is quantized already; expected float weights");
    }
    for (String pattern : options.ignore()) {
      patterns.add(Pattern.compile(pattern.startsWith("re:") ? pattern.substring(3) + ".*" : Pattern.quote(pattern)));
    }
  }

  /**
   * Quantizes.
   *
   * @param source Hugging Face directory of a float model
   * @param target directory to write; must not be there unless {@link QuantizeOptions#overwrite()}
   * @throws dev.lanes.error.InvalidModelException if a file of the model is damaged; {@link UnsupportedModelException} if it cannot be
   *     quantized so
   * @throws IllegalArgumentException if an option contradicts the model or the file system
   * @throws UncheckedIOException if writing fails; nothing is left then
   */
  public static QuantizationReport run(Path source, Path target, QuantizeOptions options) {
    CheckpointQuantizer quantizer = new CheckpointQuantizer(source, target, options);
    try (Checkpoint checkpoint = Checkpoint.open(source); Backend backend = quantizer.open(checkpoint)) {
      List<LinearGroup> groups = LinearGroups.of(checkpoint, quantizer.config);
      quantizer.check(checkpoint, groups);
      try (Destination destination = new Destination(source, target, options.overwrite())) {
        QuantizationReport report;
        try (Spool spool = new Spool(destination.part())) {
          report = quantizer.run(backend, checkpoint, groups, destination.part(), spool);
        }
        Json.write(destination.part().resolve(REPORT), report.toMap());
        destination.commit();
        return report;
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + target + ": " + e.getMessage(), e);
    }
  }

  private Backend open(Checkpoint checkpoint) {
    Backend backend = Backends.open(options.backend(), gpu -> ModelFootprint.of(checkpoint, config, gpu, ModelOptions.defaults())
        .objection(0, DType.F32, 0, 0, gpu.availableBytes()));
    say("running on %s: %s", backend.info().name(), backend.info().why());
    return backend;
  }

  /** What can be known to fail before the work. */
  private void check(Checkpoint checkpoint, List<LinearGroup> groups) {
    List<String> modules = groups.stream().flatMap(group -> group.modules().stream()).toList();
    for (String module : modules) {
      TensorInfo tensor = checkpoint.tensor(module + ".weight");
      if (!FloatTensors.isFloat(tensor.dtype())) {
        FloatTensors.read(checkpoint, tensor, 0, 0);
      }
    }
    for (int i = 0; i < patterns.size(); i++) {
      Pattern pattern = patterns.get(i);
      if (modules.stream().noneMatch(module -> pattern.matcher(module).matches())) {
        throw new IllegalArgumentException("ignore: '" + options.ignore().get(i) + "' fits no linear layer; they are called "
            + modules.get(0) + " and the like");
      }
    }
  }

  private QuantizationReport run(Backend backend, Checkpoint checkpoint, List<LinearGroup> groups, Path part, Spool spool)
      throws IOException {
    LinearSwitch tap = new LinearSwitch(backend);
    say("loading the float model");
    ModelOptions asStored = ModelOptions.defaults();
    try (TransformerModel model = TransformerModel.load(checkpoint, config, tap, asStored, ProgressListener.NONE)) {
      Corpus corpus = corpus(model);
      say("calibrating: %s", corpus.description());
      Map<LinearGroup.Key, Activations> activations = calibrate(model, tap, groups, corpus.calibration());
      Matrices matrices = new Matrices(backend);
      GroupQuantizer quantizer = new GroupQuantizer(checkpoint, matrices, spool, options.smooth(), options.rounding());
      List<QuantizedGroup> quantized = new ArrayList<>();
      for (LinearGroup group : groups) {
        QuantizedGroup result = quantizer.quantize(group, activations.remove(group.key()));
        quantized.add(result);
        say("%s: smoothing %.2f, error %.2e (plain %.2e)", group.modules().get(0), result.alpha(), result.error(), result.plainError());
      }
      FloatChoice choice = new FloatChoice(options, null, null);
      if (options.auto()) {
        choice = choose(model, tap, matrices, spool, quantized, corpus.selection());
      }
      Set<String> int8 = int8Modules(quantized, choice.kept());
      CheckpointRewriter rewriter = new CheckpointRewriter(source, checkpoint, spool, quantized,
          group -> group.group().modules().stream().anyMatch(int8::contains), int8, others(groups));
      say("writing");
      rewriter.write(part);
      List<Quality> byText = judge(model, backend, part, corpus.evaluation());
      return report(corpus, quantized, choice, int8, rewriter, checkpoint, byText);
    }
  }

  private Corpus corpus(TransformerModel model) {
    if (!options.texts().isEmpty()) {
      return Corpus.ofTexts(source, config, options);
    }
    say("no text given: the model writes some itself");
    return Corpus.selfWritten(model, options);
  }

  private Map<LinearGroup.Key, Activations> calibrate(TransformerModel model, LinearSwitch tap, List<LinearGroup> groups,
      List<int[]> windows) {
    long columns = groups.stream().mapToLong(LinearGroup::columns).sum();
    long bytes = Math.min(SAMPLE_BYTES, Runtime.getRuntime().maxMemory() / 4);
    int most = options.rounding() == Rounding.GPTQ ? MOST_ROWS : GroupQuantizer.ERROR_ROWS;
    int rows = (int) Math.max(FEWEST_ROWS, Math.min(most, bytes / Float.BYTES / columns));
    Map<LinearGroup.Key, Activations> activations = new HashMap<>();
    Map<PackedWeight, Activations> byWeight = new IdentityHashMap<>();
    for (LinearGroup group : groups) {
      Activations seen = new Activations(group.columns(), rows);
      activations.put(group.key(), seen);
      model.weights(group.key()).forEach(weight -> byWeight.put(weight, seen));
    }
    tap.set(op -> {
      Activations seen = byWeight.get(op.weight());
      if (seen != null) {
        seen.add(op.x());
      }
      return false;
    });
    try (WindowRunner runner = new WindowRunner(model, longest(windows), () -> {})) {
      windows.forEach(runner::observe);
    }
    tap.set(null);
    return activations;
  }

  private FloatChoice choose(TransformerModel model, LinearSwitch tap, Matrices matrices, Spool spool, List<QuantizedGroup> groups,
      List<int[]> windows) {
    say("choosing what stays float");
    // A group of which a part is ignored is int8 in the other part, whatever the choice.
    List<QuantizedGroup> free = groups.stream().filter(group -> group.group().modules().stream().noneMatch(this::isIgnored)).toList();
    try (Simulation simulation = new Simulation(model, matrices, spool, free);
        WindowRunner original = new WindowRunner(model, longest(windows), () -> tap.set(null));
        WindowRunner changed = new WindowRunner(model, longest(windows), () -> tap.set(simulation))) {
      LogitSource known = LogitSource.remembering(original, MOST_LOGITS);
      List<int[]> few = spread(windows);
      FloatChoice choice = new FloatChoice(options, keys -> {
        simulation.enable(keys);
        return QualityMeter.measure(known, changed, windows).total();
      }, keys -> {
        simulation.enable(keys);
        return QualityMeter.measure(known, changed, few).total();
      });
      choice.choose(free);
      return choice;
    } finally {
      tap.set(null);
    }
  }

  /** Windows to rank groups by: divergences compare the same tokens, so that few will do. */
  private static List<int[]> spread(List<int[]> windows) {
    int tokens = windows.stream().mapToInt(window -> window.length).sum();
    int step = Math.max(1, tokens / RANKING_TOKENS);
    return IntStream.range(0, windows.size()).filter(i -> i % step == 0).mapToObj(windows::get).toList();
  }

  private List<Quality> judge(TransformerModel original, Backend backend, Path part, List<List<int[]>> texts) {
    say("comparing the written model with the original");
    int longest = texts.stream().mapToInt(CheckpointQuantizer::longest).max().orElse(1);
    try (Checkpoint checkpoint = Checkpoint.open(part);
        TransformerModel written = TransformerModel.load(checkpoint, ModelConfig.load(part), backend, ModelOptions.defaults(),
            ProgressListener.NONE);
        WindowRunner before = new WindowRunner(original, longest, () -> {});
        WindowRunner after = new WindowRunner(written, longest, () -> {})) {
      QualityMeter all = new QualityMeter();
      List<Quality> found = new ArrayList<>();
      for (List<int[]> windows : texts) {
        QualityMeter one = QualityMeter.measure(before, after, windows);
        found.add(one.total());
        all.add(one);
      }
      found.add(all.total());
      return found;
    }
  }

  private QuantizationReport report(Corpus corpus, List<QuantizedGroup> groups, FloatChoice choice, Set<String> int8,
      CheckpointRewriter rewriter, Checkpoint checkpoint, List<Quality> byText) {
    List<QuantizationReport.Layers> layers = new ArrayList<>();
    long int8Parameters = 0;
    long parameters = 0;
    for (QuantizedGroup group : groups) {
      List<String> modules = group.group().modules();
      List<String> kept = modules.stream().filter(module -> !int8.contains(module)).toList();
      String why = choice.kept().contains(group.group().key()) ? "among those that cost the most quality for their size"
          : kept.isEmpty() ? "" : "named by ignore";
      layers.add(new QuantizationReport.Layers(modules, kept.size() == modules.size() ? 0 : group.alpha(), group.plainError(),
          group.error(), choice.divergence(group.group().key()), kept, why));
      parameters += group.parameters();
      for (int i = 0; i < modules.size(); i++) {
        int8Parameters += int8.contains(modules.get(i)) ? group.matrices().get(i).bytes() : 0;
      }
    }
    return new QuantizationReport(corpus.description(), layers, byText.get(byText.size() - 1), byText.subList(0, byText.size() - 1),
        int8Parameters, parameters, checkpoint.totalBytes(), rewriter.totalBytes(), rewriter.int8Bytes(), choice.outcome());
  }

  private Set<String> int8Modules(List<QuantizedGroup> groups, Set<LinearGroup.Key> kept) {
    Set<String> int8 = new HashSet<>();
    for (QuantizedGroup group : groups) {
      if (!kept.contains(group.group().key())) {
        group.group().modules().stream().filter(module -> !isIgnored(module)).forEach(int8::add);
      }
    }
    return int8;
  }

  /** Linear modules outside of the groups. */
  private static List<String> others(List<LinearGroup> groups) {
    List<String> others = new ArrayList<>(List.of("lm_head"));
    groups.stream().map(LinearGroup::readers).flatMap(Collection::stream).forEach(others::add);
    return others;
  }

  private boolean isIgnored(String module) {
    return patterns.stream().anyMatch(pattern -> pattern.matcher(module).matches());
  }

  private static int longest(List<int[]> windows) {
    return windows.stream().mapToInt(window -> window.length).max().orElse(1);
  }

  private void say(String format, Object... arguments) {
    options.progress().accept(String.format(Locale.ROOT, format, arguments));
  }
}
