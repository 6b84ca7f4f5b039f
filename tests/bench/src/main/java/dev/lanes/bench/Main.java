package dev.lanes.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import dev.lanes.bench.attention.AttentionCases;
import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.bench.harness.CaseRunner;
import dev.lanes.bench.harness.Effort;
import dev.lanes.bench.harness.Result;
import dev.lanes.bench.kernel.LinearCases;
import dev.lanes.bench.kernel.MemoryCases;
import dev.lanes.bench.model.Int8ModelCases;
import dev.lanes.bench.model.ModelCases;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.openjdk.jmh.runner.RunnerException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures ours beside the peers and prints a line per case; notes and failures go to the error stream. */
@Command(
    name = "ci/bench.sh",
    description = "Measures Lanes beside its peers: name, ours [min..max], peer, ratio, percent of this machine's ceiling.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    exitCodeOnExecutionException = 1)
public final class Main implements Callable<Integer> {
  private static final Effort FULL = new Effort(11, 60_000_000);
  private static final Effort QUICK = new Effort(5, 15_000_000);
  // A turn of a model takes seconds, and is long enough to be steady.
  private static final Effort FULL_MODEL = new Effort(5, 500_000_000);
  private static final Effort QUICK_MODEL = new Effort(3, 100_000_000);

  /** What can be measured. */
  enum Suite {
    KERNELS,
    ATTENTION,
    MODEL
  }

  @Parameters(index = "0", paramLabel = "kernels|attention|model", description = "what to measure")
  private Suite suite;

  @Option(names = "--quick", description = "fewer cases and turns, for a look of two minutes at most")
  private boolean quick;

  @Option(names = "--only", paramLabel = "REGEX", description = "only the cases whose names it matches somewhere")
  private Pattern only;

  @Option(names = "--json", paramLabel = "FILE", description = "also write the figures as an array of objects")
  private Path json;

  @Option(names = "--threads", paramLabel = "N", description = "threads of ours and of the peers; default: one for each CPU")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(names = "--list", description = "print the names of the cases and measure nothing")
  private boolean list;

  @Option(names = "--profile", description = "model: print where the time of a step goes instead of comparing")
  private boolean profile;

  private Main() {}

  /** Ends the process: peers leave threads behind that would keep it alive. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Main()).setCaseInsensitiveEnumValuesAllowed(true).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    if (threads < 1) {
      System.err.println("--threads is " + threads + ", expected at least 1");
      return CommandLine.ExitCode.USAGE;
    }
    Path models = Path.of(System.getProperty("lanes.bench.models", "target/models"));
    if (profile && suite != Suite.MODEL) {
      System.err.println("--profile is for model");
      return CommandLine.ExitCode.USAGE;
    }
    try (ModelCases modelCases = new ModelCases(models, threads); Int8ModelCases int8Cases = new Int8ModelCases(models, threads)) {
      if (profile) {
        modelCases.profile(quick, System.out);
        return CommandLine.ExitCode.OK;
      }
      List<BenchCase> matching = cases(modelCases, int8Cases).stream()
          .filter(bench -> only == null || only.matcher(bench.name()).find()).toList();
      List<BenchCase> small = matching.stream().filter(BenchCase::quick).toList();
      // Whoever names a large case and --quick wants that case with few turns.
      List<BenchCase> chosen = quick && !small.isEmpty() ? small : matching;
      if (chosen.isEmpty()) {
        System.err.println("no case of " + suite.name().toLowerCase(Locale.ROOT) + " matches " + only + "; --list names them");
        return CommandLine.ExitCode.USAGE;
      }
      if (list) {
        chosen.forEach(bench -> System.out.println(bench.name()));
        return CommandLine.ExitCode.OK;
      }
      return measure(chosen);
    }
  }

  private List<BenchCase> cases(ModelCases modelCases, Int8ModelCases int8Cases) {
    int[] counts = threads == 1 ? new int[] {1} : new int[] {1, threads};
    return switch (suite) {
      case KERNELS -> {
        List<BenchCase> all = new ArrayList<>(LinearCases.all(counts));
        all.addAll(MemoryCases.all(threads));
        yield all;
      }
      case ATTENTION -> AttentionCases.all(counts);
      case MODEL -> {
        List<BenchCase> all = new ArrayList<>(modelCases.all());
        all.addAll(int8Cases.all());
        yield all;
      }
    };
  }

  private int measure(List<BenchCase> chosen) throws IOException {
    Effort effort = suite == Suite.MODEL ? quick ? QUICK_MODEL : FULL_MODEL : quick ? QUICK : FULL;
    CaseRunner runner = new CaseRunner(effort, System.err);
    ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
    ArrayNode figures = mapper.createArrayNode();
    int failed = 0;
    System.out.println(Ceilings.summary(threads));
    for (BenchCase bench : chosen) {
      try {
        Result result = runner.run(bench);
        System.out.println(result.line());
        figures.add(result.json());
      } catch (RuntimeException | LinkageError | RunnerException e) {
        failed++;
        System.err.println(bench.name() + ": failed");
        e.printStackTrace();
      }
    }
    if (json != null) {
      Files.writeString(json, mapper.writeValueAsString(figures) + System.lineSeparator());
    }
    return failed == 0 ? CommandLine.ExitCode.OK : CommandLine.ExitCode.SOFTWARE;
  }
}
