package dev.lanes.cli;

import dev.lanes.LanguageModel;
import dev.lanes.Perplexity;
import dev.lanes.PerplexityOptions;
import dev.lanes.PerplexityProgress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanes perplexity}: how well a model predicts texts. */
@Command(name = "perplexity", mixinStandardHelpOptions = true, sortOptions = false,
    description = {
      "Measures how well a model predicts texts: the exponential of the mean negative log-likelihood of their tokens.",
      "",
      "A window of --context tokens (default: what the model was made for, at most " + PerplexityOptions.DEFAULT_WINDOW + ") slides over"
          + " each text by --stride tokens. Each token is scored once, in the first window that holds it, with at least context - stride"
          + " tokens before it unless the text begins nearer. Without --bos a text is encoded as tokenizer.json says, with a BOS at its"
          + " beginning where that adds one, and later windows begin in the middle of the text as they are; the first token of a text is"
          + " not scored, nor is the first of a window when stride equals context: nothing comes before it. The standard error is that of"
          + " independent tokens.",
      ""
    })
final class PerplexityCommand implements Callable<Integer> {
  private static final long REMARK_NANOS = 1_000_000_000L;

  private final Console console;

  @Mixin private ModelOptions modelOptions;

  @Option(names = "--text", paramLabel = "FILE", required = true,
      description = "A UTF-8 text; - for standard input. May be given several times.")
  private List<String> texts;

  @Option(names = "--stride", paramLabel = "N", description = "Tokens between the beginnings of two windows (default: half a window).")
  private Integer stride;

  @Option(names = "--bos", description = "Begin every window with the BOS token of config.json, as one of its tokens. Some models"
      + " predict nothing useful without it.")
  private boolean bos;

  @Option(names = "--tokens", paramLabel = "N", description = "Use only the first N tokens of each text.")
  private Long tokens;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  PerplexityCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    PerplexityOptions options = options();
    modelOptions.limitContext(PerplexityOptions.DEFAULT_WINDOW);
    List<String> contents = texts.stream().map(name -> TextFiles.readOrStandardInput("--text", name)).toList();
    try (LanguageModel model = modelOptions.load(console)) {
      List<Perplexity> results = new ArrayList<>();
      Perplexity total = Perplexity.NONE;
      for (int i = 0; i < contents.size(); i++) {
        Perplexity result = model.perplexity(List.of(contents.get(i)), options.withProgress(progress(texts.get(i))));
        results.add(result);
        total = total.plus(result);
        if (!json) {
          print(texts.get(i), result);
        }
      }
      if (json) {
        console.json(json(model, results, total));
      } else if (results.size() > 1) {
        print("all", total);
      }
      return ExitCode.OK;
    }
  }

  private PerplexityOptions options() {
    PerplexityOptions options = PerplexityOptions.defaults().withBos(bos);
    options = modelOptions.context() == null ? options : options.withWindow(modelOptions.context());
    options = stride == null ? options : options.withStride(stride);
    return tokens == null ? options : options.withMaxTokens(tokens);
  }

  /** A line a second at most, so that a long measurement shows where it is heading. */
  private PerplexityProgress progress(String name) {
    if (modelOptions.quiet()) {
      return (soFar, total) -> {};
    }
    long[] next = {System.nanoTime() + REMARK_NANOS};
    return (soFar, total) -> {
      if (System.nanoTime() >= next[0]) {
        next[0] = System.nanoTime() + REMARK_NANOS;
        console.remark("%s: %,d of %,d tokens, perplexity %.4f +- %.4f, %.0f tokens/s", name, soFar.tokens(), total, soFar.perplexity(),
            soFar.standardError(), soFar.tokensPerSecond());
      }
    };
  }

  private void print(String name, Perplexity result) {
    console.line("%s: perplexity %.4f +- %.4f, %,d tokens in %,d windows, %.0f tokens/s", name, result.perplexity(),
        result.standardError(), result.tokens(), result.windows(), result.tokensPerSecond());
    console.out().flush();
  }

  private Map<String, Object> json(LanguageModel model, List<Perplexity> results, Perplexity total) {
    Map<String, Object> all = new LinkedHashMap<>();
    int window = model.info().contextLength();
    all.put("window", window);
    all.put("stride", stride == null ? (window + (bos ? 0 : 1)) / 2 : stride);
    all.put("bos", bos);
    all.putAll(json(total));
    List<Map<String, Object>> items = new ArrayList<>();
    for (int i = 0; i < results.size(); i++) {
      Map<String, Object> item = new LinkedHashMap<>();
      item.put("text", texts.get(i));
      item.putAll(json(results.get(i)));
      items.add(item);
    }
    all.put("texts", items);
    return all;
  }

  private static Map<String, Object> json(Perplexity result) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("perplexity", result.perplexity());
    json.put("standardError", result.standardError());
    json.put("meanNegativeLogLikelihood", result.meanNegativeLogLikelihood());
    json.put("tokens", result.tokens());
    json.put("windows", result.windows());
    json.put("evaluatedTokens", result.evaluatedTokens());
    json.put("seconds", result.seconds());
    json.put("tokensPerSecond", result.tokensPerSecond());
    return json;
  }
}
