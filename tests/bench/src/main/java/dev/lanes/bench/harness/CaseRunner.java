package dev.lanes.bench.harness;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Supplier;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Opens a case, has JMH run its contenders in turn in this process, and makes their figures. */
public final class CaseRunner {
  private final Effort effort;
  private final PrintStream notes;

  /**
   * @param notes where it is said that a peer did not run, and why
   */
  public CaseRunner(Effort effort, PrintStream notes) {
    this.effort = effort;
    this.notes = notes;
  }

  /**
   * Measures a case. A peer that cannot run leaves its column empty; ours and the ceiling must run.
   *
   * @throws RunnerException if a contender failed in its turns
   */
  public Result run(BenchCase bench) throws RunnerException {
    try (Contender ours = bench.ours().get();
        Contender peer = openPeer(bench);
        Contender ceiling = bench.ceiling().get()) {
      List<Contender> contenders = peer == null ? List.of(ours, ceiling) : List.of(ours, peer, ceiling);
      Iterator<Figure> figures = measure(bench.name(), contenders).iterator();
      Figure ourFigure = figures.next();
      Figure peerFigure = peer == null ? null : figures.next();
      Figure ceilingFigure = figures.next();
      Double expected =
          bench.expected() == null || peer == null
              ? null
              : (Double) bench.expected().applyAsDouble(peerFigure.median(), ceilingFigure.median());
      return new Result(
          bench.name(), bench.unit(), ourFigure, peer == null ? null : peer.name(), peerFigure, ceiling.name(), ceilingFigure, expected);
    }
  }

  private Contender openPeer(BenchCase bench) {
    Supplier<Contender> peer = bench.peer();
    if (peer == null) {
      return null;
    }
    try {
      return peer.get();
    } catch (RuntimeException | LinkageError e) {
      notes.println(bench.name() + ": the peer does not run here: " + e);
      return null;
    }
  }

  private List<Figure> measure(String name, List<Contender> contenders) throws RunnerException {
    Turns.next(contenders, effort);
    int sides = contenders.size();
    Options options =
        new OptionsBuilder()
            .include("^" + TurnBenchmark.class.getName().replace(".", "\\.") + "\\.turn$")
            .param("caseName", name)
            .forks(0)
            .threads(1)
            // The contenders were warmed up when their calls were counted.
            .warmupIterations(0)
            .measurementIterations(sides * effort.rounds())
            .measurementBatchSize(1)
            .timeout(TimeValue.hours(1))
            .shouldFailOnError(true)
            .verbosity(VerboseMode.SILENT)
            .build();
    RunResult run = new Runner(options).runSingle();
    List<IterationResult> turns = new ArrayList<>();
    run.getBenchmarkResults().forEach(result -> turns.addAll(result.getIterationResults()));
    int[] calls = Turns.lastCalls();
    List<Figure> figures = new ArrayList<>();
    for (int side = 0; side < sides; side++) {
      double[] rates = new double[effort.rounds()];
      for (int round = 0; round < rates.length; round++) {
        double nanos = turns.get(round * sides + side).getPrimaryResult().getScore();
        rates[round] = contenders.get(side).work() * calls[side] / (nanos * 1e-9);
      }
      figures.add(Figure.of(rates));
    }
    return figures;
  }
}
