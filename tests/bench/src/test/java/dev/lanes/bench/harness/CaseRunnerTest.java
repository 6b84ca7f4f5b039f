package dev.lanes.bench.harness;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.runner.RunnerException;

class CaseRunnerTest {
  private static final int ROUNDS = 4;

  private final List<String> log = new ArrayList<>();
  private final ByteArrayOutputStream notes = new ByteArrayOutputStream();
  private final CaseRunner runner = new CaseRunner(new Effort(ROUNDS, 1), new PrintStream(notes, true, StandardCharsets.UTF_8));

  @BeforeAll
  static void allowParallelBuilds() {
    System.setProperty("jmh.ignoreLock", "true");
  }

  /** Sleeps, so that one call fills a turn, and writes down what is called. */
  private final class Sleeper implements Contender {
    private final String name;
    private final long millis;
    private final double work;
    private final boolean repeatable;

    Sleeper(String name, long millis, double work, boolean repeatable) {
      this.name = name;
      this.millis = millis;
      this.work = work;
      this.repeatable = repeatable;
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public double work() {
      return work;
    }

    @Override
    public boolean repeatable() {
      return repeatable;
    }

    @Override
    public void prepare() {
      log.add(name + " prepare");
    }

    @Override
    public void run() {
      log.add(name + " run");
      try {
        Thread.sleep(millis);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void close() {
      log.add(name + " close");
    }
  }

  private BenchCase bench(Supplier<Contender> ours, Supplier<Contender> peer) {
    return new BenchCase("a.case", "u/s", true, ours, peer, () -> new Sleeper("ceiling", 1, 1, false));
  }

  @Test
  void contendersTakeTurns() throws RunnerException {
    Result result = runner.run(bench(() -> new Sleeper("ours", 1, 1, false), () -> new Sleeper("peer", 1, 1, false)));
    List<String> runs = log.stream().filter(entry -> entry.endsWith(" run")).toList();
    List<String> expected = new ArrayList<>();
    // Once to count the calls of a turn, then the measured rounds.
    for (int round = 0; round < ROUNDS + 1; round++) {
      expected.addAll(List.of("ours run", "peer run", "ceiling run"));
    }
    assertThat(runs).isEqualTo(expected);
    for (int i = 0; i < log.size(); i++) {
      if (log.get(i).endsWith(" run")) {
        assertThat(log.get(i - 1)).isEqualTo(log.get(i).replace(" run", " prepare"));
      }
    }
    assertThat(log).endsWith("ceiling close", "peer close", "ours close");
    assertThat(result.peerName()).isEqualTo("peer");
    assertThat(result.ceilingName()).isEqualTo("ceiling");
  }

  @Test
  void ratesCountTheWorkOfAllCallsOfATurn() throws RunnerException {
    CaseRunner longTurns = new CaseRunner(new Effort(ROUNDS, 30_000_000), System.err);
    Result result = longTurns.run(bench(() -> new Sleeper("ours", 3, 6, true), () -> new Sleeper("peer", 3, 6, false)));
    // 6 units in 3 ms or, as sleeping may last longer, a little more; never faster.
    assertThat(result.ours().max()).isLessThanOrEqualTo(2000);
    assertThat(result.peer().max()).isLessThanOrEqualTo(2000);
    assertThat(result.ours().median()).isGreaterThan(200);
    assertThat(result.peer().median()).isGreaterThan(200);
    long oursRuns = log.stream().filter("ours run"::equals).count();
    long peerRuns = log.stream().filter("peer run"::equals).count();
    assertThat(oursRuns).isGreaterThan(2 * peerRuns);
    assertThat(peerRuns).isEqualTo(ROUNDS + 1);
  }

  @Test
  void aPeerThatCannotRunLeavesItsColumnEmptyAndSaysWhy() throws RunnerException {
    Result result =
        runner.run(
            bench(
                () -> new Sleeper("ours", 1, 1, false),
                () -> {
                  throw new UnsatisfiedLinkError("libpeer.so is missing");
                }));
    assertThat(result.peer()).isNull();
    assertThat(result.peerName()).isNull();
    assertThat(notes.toString(StandardCharsets.UTF_8)).contains("a.case", "libpeer.so is missing");
    assertThat(log).endsWith("ceiling close", "ours close");
  }

  @Test
  void aContenderThatFailsInItsTurnFailsTheCaseAndAllAreClosed() {
    Contender failing =
        new Contender() {
          @Override
          public String name() {
            return "failing";
          }

          @Override
          public double work() {
            return 1;
          }

          @Override
          public void run() {
            throw new IllegalStateException("planted failure");
          }
        };
    assertThatThrownBy(() -> runner.run(bench(() -> new Sleeper("ours", 1, 1, false), () -> failing)))
        .hasStackTraceContaining("planted failure");
    assertThat(log).endsWith("ceiling close", "ours close");
  }
}
