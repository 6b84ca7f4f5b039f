package dev.lanes.cli;

import dev.lanes.LanguageModel;
import dev.lanes.ModelInfo;
import dev.lanes.needle.NeedleOutcome;
import dev.lanes.needle.NeedlePolicy;
import dev.lanes.needle.NeedleSpec;
import dev.lanes.needle.NeedleTest;
import dev.lanes.needle.NeedleText;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.stream.Stream;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanes needle}: which sentences of a long text a model finds again, by length, depth and context policy. */
@Command(name = "needle", mixinStandardHelpOptions = true, sortOptions = false,
    description = {"Hides a sentence in a long text, asks for it, and scores exact answers: a grid of depths and lengths for each context policy.",
        "DIR gets needle.json, needle.png, and probes.jsonl, from which an interrupted run goes on."})
final class NeedleCommand implements Callable<Integer> {
  /** Longer texts only where they are asked for: a grid of them takes a while. */
  private static final int LONGEST_DEFAULT = 2048;
  private static final int SHORTEST_DEFAULT = 128;
  private static final int DEFAULT_SINKS = 4;

  private final Console console;

  @Mixin private ModelOptions modelOptions;

  @Option(names = "--out", paramLabel = "DIR", required = true, description = "Folder of the results; made where it is missing.")
  private Path out;

  @Option(names = "--lengths", paramLabel = "N,N", split = ",",
      description = "Tokens of prompt and answer together (default: an eighth, a quarter, a half and all of the context, at most "
          + LONGEST_DEFAULT + ").")
  private List<Integer> lengths;

  @Option(names = "--depths", paramLabel = "P,P", split = ",", defaultValue = "0,25,50,75,100",
      description = "Where the needle stands, in percent of the text (default: ${DEFAULT-VALUE}).")
  private List<Integer> depths;

  @Option(names = "--policies", paramLabel = "POLICY", arity = "1..*",
      description = "Context policies to compare, each with @LIMIT where its context shall be smaller than the model's: "
          + "reject sliding:512 sinks:4,508 truncate-oldest@1024 (default: those, with windows of a quarter and limits of half of the "
          + "longest length).")
  private List<String> policies;

  @Option(names = "--trials", paramLabel = "N", defaultValue = "2", description = "Repetitions of each cell (default: ${DEFAULT-VALUE}).")
  private int trials;

  @Option(names = "--distractors", paramLabel = "N", defaultValue = "0",
      description = "Further needles with other keys in the same text (default: ${DEFAULT-VALUE}).")
  private int distractors;

  @Option(names = "--language", paramLabel = "en|zh", defaultValue = "en", description = "The built-in text and needle (default: ${DEFAULT-VALUE}).")
  private String language;

  @Option(names = "--haystack", paramLabel = "FILE", description = "A UTF-8 text to hide the needle in.")
  private Path haystack;

  @Option(names = "--needle", paramLabel = "FILE",
      description = "A JSON object with needle, completion, question (with {key} and {value}) and keys (a list of texts).")
  private Path needle;

  @Option(names = "--no-template", description = "Ask for a completion even where the model has a chat template.")
  private boolean noTemplate;

  @Option(names = "--answer-tokens", paramLabel = "N", description = "Room for an answer (default: 12, or 48 with a chat template).")
  private Integer answerTokens;

  @Option(names = "--seed", paramLabel = "S", defaultValue = "0", description = "What keys, numbers and places follow from.")
  private long seed;

  @Option(names = "--restart", description = "Begin again where the folder holds results already.")
  private boolean restart;

  @Option(names = "--json", description = "Print the JSON of the results instead of tables.")
  private boolean json;

  NeedleCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    NeedleText text = text();
    List<NeedlePolicy> chosen = policies == null ? null
        : policies.stream().flatMap(value -> Stream.of(value.strip().split("[;\\s]+"))).map(NeedlePolicy::parse).toList();
    // Numbers that cannot be are refused before a model is loaded for them.
    spec(text, lengths == null ? List.of(LONGEST_DEFAULT) : lengths, chosen);
    try (LanguageModel model = modelOptions.load(console)) {
      List<Integer> asked = lengths == null ? defaultLengths(model.info().contextLength()) : lengths;
      NeedleSpec spec = spec(text, asked, chosen);
      NeedleTest test = new NeedleTest(model, spec);
      List<NeedleOutcome> outcomes;
      try (NeedleProgress progress = NeedleProgress.open(out, fingerprint(model, spec), restart)) {
        outcomes = run(test, progress);
      }
      NeedleReport report = new NeedleReport(model.info().directory().toString(), test, spec, outcomes);
      report.write(out);
      if (json) {
        console.json(report.json());
      } else {
        report.print(console);
      }
      return ExitCode.OK;
    }
  }

  private NeedleText text() {
    NeedleText text = switch (language.toLowerCase(Locale.ROOT)) {
      case "en" -> NeedleText.english();
      case "zh" -> NeedleText.chinese();
      default -> throw new IllegalArgumentException("--language: '" + language + "' is unknown, expected en or zh");
    };
    if (needle != null) {
      text = NeedleFile.read("--needle", needle, text.haystack());
    }
    return haystack == null ? text : text.in(TextFiles.read("--haystack", haystack));
  }

  private NeedleSpec spec(NeedleText text, List<Integer> asked, List<NeedlePolicy> chosen) {
    NeedleSpec.Builder spec = NeedleSpec.builder().text(text).lengths(asked).depths(depths)
        .policies(chosen == null ? defaultPolicies(asked) : chosen).trials(trials).distractors(distractors).chatTemplate(!noTemplate).seed(seed);
    if (answerTokens != null) {
      spec.answerTokens(answerTokens);
    }
    return spec.build();
  }

  private static List<Integer> defaultLengths(int context) {
    int longest = Math.min(context, LONGEST_DEFAULT);
    return Stream.of(longest / 8, longest / 4, longest / 2, longest).filter(length -> length >= SHORTEST_DEFAULT || length == longest)
        .toList();
  }

  private static List<NeedlePolicy> defaultPolicies(List<Integer> lengths) {
    int longest = lengths.stream().mapToInt(Integer::intValue).max().orElse(LONGEST_DEFAULT);
    int window = Math.max(2 * DEFAULT_SINKS, longest / 4);
    int half = Math.max(2, longest / 2);
    return Stream.of("reject", "sliding:" + window, "sinks:" + DEFAULT_SINKS + "," + (window - DEFAULT_SINKS), "truncate-oldest@" + half,
        "truncate-middle@" + half).map(NeedlePolicy::parse).toList();
  }

  /** All that the outcomes follow from. */
  private String fingerprint(LanguageModel model, NeedleSpec spec) {
    ModelInfo info = model.info();
    String how = String.join(" ", info.backend().name(), info.backend().isa(), info.compute().name(), info.cacheType().name());
    return String.join("\n", modelOptions.identity(), how, "context " + info.contextLength(), spec.toString());
  }

  private List<NeedleOutcome> run(NeedleTest test, NeedleProgress progress) {
    int total = test.probes().size();
    if (modelOptions.quiet()) {
      return test.run(progress.known(), progress::add);
    }
    if (!progress.known().isEmpty()) {
      console.remark("%d of %d probes are in %s already", progress.known().size(), total, progress.file());
    }
    if (Console.isInteractive()) {
      ProgressBarBuilder builder = new ProgressBarBuilder().setTaskName("probes").setStyle(ProgressBarStyle.ASCII).setInitialMax(total)
          .setUpdateIntervalMillis(200).setConsumer(new ConsoleProgressBarConsumer(console.err()));
      try (ProgressBar bar = builder.build()) {
        bar.stepTo(progress.known().size());
        return test.run(progress.known(), ((Consumer<NeedleOutcome>) progress::add).andThen(outcome -> bar.step()));
      }
    }
    int step = Math.max(1, total / 10);
    return test.run(progress.known(), outcome -> {
      progress.add(outcome);
      if (progress.known().size() % step == 0) {
        console.remark("%d of %d probes", progress.known().size(), total);
      }
    });
  }
}
