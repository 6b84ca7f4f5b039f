package dev.lanes.bench.harness;

import java.util.List;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * The state of {@link TurnBenchmark}: whose turn it is. An iteration of JMH is one turn; before each, outside the measured time, the
 * next contender is made ready.
 */
@State(Scope.Benchmark)
public class Turns {
  /** The last turn's threads may still spin; after this they sleep. See ci/bench.sh for how long the peers' spin. */
  private static final long SETTLE_MILLIS = 4;

  /** A call this long warms up nothing by running once more. */
  private static final long LONG_CALL_NANOS = 200_000_000;

  private static final int MAX_CALLS = 1 << 20;

  // JMH makes the state itself, in this process: this is how the contenders reach it.
  private static volatile List<Contender> nextContenders;
  private static volatile Effort nextEffort;
  private static volatile int[] lastCalls;

  /** The case's name; JMH wants what varies between runs as a parameter. */
  @Param("")
  public String caseName;

  private List<Contender> contenders;
  private int[] calls;
  private long[] callNanos;
  private int turn;

  static void next(List<Contender> contenders, Effort effort) {
    nextContenders = List.copyOf(contenders);
    nextEffort = effort;
  }

  /** How often each contender ran in a turn. */
  static int[] lastCalls() {
    return lastCalls;
  }

  /** Warms every contender up and finds how many calls fill a turn. */
  @Setup(Level.Trial)
  public void calibrate() {
    contenders = nextContenders;
    if (contenders == null) {
      throw new IllegalStateException("no contenders: start the benchmarks with ci/bench.sh, not with JMH's own main class");
    }
    turn = -1;
    calls = new int[contenders.size()];
    callNanos = new long[contenders.size()];
    for (int i = 0; i < calls.length; i++) {
      calibrate(i);
    }
    lastCalls = calls.clone();
  }

  private void calibrate(int index) {
    Contender contender = contenders.get(index);
    int count = 1;
    long nanos = time(contender, count);
    if (contender.repeatable()) {
      while (nanos < nextEffort.turnNanos() / 2 && count < MAX_CALLS) {
        count *= 2;
        nanos = time(contender, count);
      }
    }
    callNanos[index] = nanos / count;
    long wanted = (nextEffort.turnNanos() + callNanos[index]) / Math.max(1, callNanos[index]);
    calls[index] = contender.repeatable() ? (int) Math.max(1, Math.min(MAX_CALLS, wanted)) : 1;
  }

  private static long time(Contender contender, int count) {
    contender.prepare();
    long begin = System.nanoTime();
    for (int i = 0; i < count; i++) {
      contender.run();
    }
    return System.nanoTime() - begin;
  }

  /** The next contender gets ready: threads of the last one asleep, its own awake. */
  @Setup(Level.Iteration)
  public void nextTurn() throws InterruptedException {
    turn = (turn + 1) % contenders.size();
    Thread.sleep(SETTLE_MILLIS);
    Contender contender = contenders.get(turn);
    contender.prepare();
    if (contender.repeatable() && callNanos[turn] < LONG_CALL_NANOS) {
      contender.run();
    }
  }

  void run() {
    Contender contender = contenders.get(turn);
    // The calls reach native code or other threads: the compiler can neither fold nor hoist them.
    for (int i = calls[turn]; i > 0; i--) {
      contender.run();
    }
  }
}
