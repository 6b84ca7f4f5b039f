package dev.lanes.cli;

import dev.lanes.Lanes;
import dev.lanes.backend.BackendOptions;
import dev.lanes.quantize.CheckpointQuantizer;
import dev.lanes.quantize.QuantizationReport;
import dev.lanes.quantize.Quality;
import dev.lanes.quantize.QuantizeOptions;
import dev.lanes.quantize.Rounding;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lanes quantize}: a W8A8 checkpoint of a float one. */
@Command(name = "quantize", mixinStandardHelpOptions = true, sortOptions = false,
    description = {
      "Writes a W8A8 checkpoint (int8 weights with a scale for each output feature, activations quantized for each token) of a model of"
          + " f32, f16 or bf16 weights, in the layout of compressed-tensors that Lanes, vLLM and transformers read.",
      "",
      "Outliers of the activations move into weights (SmoothQuant): from the inputs of attention and feed-forward network into the norms"
          + " before them, from those of the output and down projections into the value and up projections. A report (also"
          + " quantization_report.json beside the weights) tells what became of the predictions.",
      ""
    })
final class QuantizeCommand implements Callable<Integer> {
  private final Console console;

  @Option(names = "--model", paramLabel = "DIR", required = true, description = "Hugging Face directory of the float model.")
  private Path model;

  @Option(names = "--out", paramLabel = "DIR", required = true, description = "Directory to write.")
  private Path out;

  @Option(names = "--overwrite", description = "Replace a model at --out.")
  private boolean overwrite;

  @Option(names = "--calibration", paramLabel = "FILE",
      description = "A UTF-8 text like those the model is for; may be given several times. Its beginning calibrates, what follows chooses"
          + " (--auto), its end judges. Without any the model calibrates on what it writes itself.")
  private List<Path> texts = new ArrayList<>();

  @Option(names = "--calibration-tokens", paramLabel = "N", defaultValue = "8192",
      description = "Tokens to calibrate on, over all texts (default: ${DEFAULT-VALUE}).")
  private int calibrationTokens;

  @Option(names = "--evaluation-tokens", paramLabel = "N", defaultValue = "8192",
      description = "Tokens to judge by, and as many to choose by, over all texts (default: ${DEFAULT-VALUE}).")
  private int evaluationTokens;

  @Option(names = "--window", paramLabel = "N", defaultValue = "512",
      description = "Tokens of a window of text; each begins with the BOS of config.json (default: ${DEFAULT-VALUE}).")
  private int window;

  @Option(names = "--smooth", paramLabel = "0..1",
      description = "Exponent of smoothing, 0 for none (default: the best for each group of layers).")
  private Double smooth;

  @Option(names = "--rounding", paramLabel = "nearest|gptq", defaultValue = "nearest",
      description = "gptq: rounding errors make up for each other, as calibration weighs them; slow for wide models.")
  private Rounding rounding;

  @Option(names = "--ignore", paramLabel = "PATTERN",
      description = "A linear layer that stays float: its full name, or re: and a regular expression. May be given several times.")
  private List<String> ignore = new ArrayList<>();

  @Option(names = "--auto", description = "Keep as many layers float as it takes to meet --min-agreement and --max-perplexity.")
  private boolean auto;

  @Option(names = "--min-agreement", paramLabel = "PERCENT", defaultValue = "95",
      description = "With --auto: positions whose likeliest token stays the same (default: ${DEFAULT-VALUE}).")
  private double minAgreement;

  @Option(names = "--max-perplexity", paramLabel = "PERCENT", defaultValue = "1",
      description = "With --auto: by how much the perplexity may rise (default: ${DEFAULT-VALUE}).")
  private double maxPerplexity;

  @Option(names = "--device", paramLabel = DeviceName.LABEL, defaultValue = "auto", converter = DeviceName.Converter.class,
      description = "Where to run; see lanes generate --help.")
  private DeviceName device;

  @Option(names = "--threads", paramLabel = "N", defaultValue = "0", description = "Threads; 0 for one for each CPU.")
  private int threads;

  @Option(names = "--quiet", description = "No progress on stderr.")
  private boolean quiet;

  @Option(names = "--json", description = "Print the report as one JSON object.")
  private boolean json;

  QuantizeCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    BackendOptions backend = device.applyTo(BackendOptions.defaults());
    QuantizeOptions.Builder options = QuantizeOptions.builder().window(window).calibrationTokens(calibrationTokens)
        .evaluationTokens(evaluationTokens).rounding(rounding).ignore(ignore).auto(auto).minAgreement(minAgreement / 100)
        .maxPerplexityIncrease(maxPerplexity / 100).overwrite(overwrite).backend(threads == 0 ? backend : backend.withThreads(threads));
    if (smooth != null) {
      options.smooth(smooth);
    }
    if (!quiet) {
      options.progress(line -> console.remark("%s", line));
    }
    options.texts(texts.stream().map(file -> TextFiles.read("--calibration", file)).toList());
    QuantizationReport report = Lanes.quantize(model, out, options.build());
    if (json) {
      console.json(report.toMap());
    } else {
      print(report);
    }
    return ExitCode.OK;
  }

  private void print(QuantizationReport report) {
    console.line("%-52s %5s %10s %10s %10s  %s", "linear layers", "alpha", "plain", "error", "divergence", "");
    for (QuantizationReport.Layers layers : report.layers()) {
      console.line("%-52s %5.2f %10.2e %10.2e %10.2e  %s", name(layers.modules()), layers.alpha(), layers.plainError(), layers.error(),
          layers.divergence(), layers.kept().isEmpty() ? "int8"
              : (layers.kept().size() == layers.modules().size() ? "float: " : "float in part: ") + layers.why());
    }
    console.line("");
    console.line("Error: mean squared error of the outputs relative to their mean square; plain: without smoothing, rounded to nearest.");
    console.line("Divergence: mean KL divergence with this group alone int8, in nats.");
    console.line("");
    console.line("calibrated on         %s", report.calibration());
    for (int i = 0; i < texts.size(); i++) {
      print(texts.get(i).getFileName().toString(), report.byText().get(i));
    }
    print("all", report.quality());
    if (!report.budget().isEmpty()) {
      console.line("budget                %s", report.budget());
    }
    console.line("int8                  %.1f%% of the weights of linear layers; %s of tensors, %s before", 100.0 * report.int8Parameters()
        / report.linearParameters(), Console.bytes(report.bytesAfter()), Console.bytes(report.bytesBefore()));
    console.line("written               %s, report in %s", out, CheckpointQuantizer.REPORT);
  }

  private void print(String name, Quality quality) {
    console.line("%-21s top-1 agreement %.2f%%, KL mean %.5f, p99 %.4f, perplexity %.3f -> %.3f (%+.2f%%), %,d tokens", name,
        100 * quality.agreement(), quality.meanDivergence(), quality.p99Divergence(), quality.perplexityBefore(),
        quality.perplexityAfter(), 100 * quality.perplexityIncrease(), quality.tokens());
  }

  private static String name(List<String> modules) {
    String first = modules.get(0);
    return modules.size() == 1 ? first : first + " + " + (modules.size() - 1);
  }
}
