package dev.lanes.backend;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Another backend with a clock around every op. Ops and {@link #take} are called by one thread at a time. */
public final class ProfiledBackend extends ForwardingBackend {
  private final Map<String, Clock> clocks = new LinkedHashMap<>();
  private final Clock batch = clock("batch");
  private Map<String, KernelTime> kernelsBefore = Map.of();
  private final Clock embed = clock("embed");
  private final Clock linear = clock("linear");
  private final Clock norm = clock("norm");
  private final Clock ropeTable = clock("rope_table");
  private final Clock rope = clock("rope");
  private final Clock kvWrite = clock("kv_write");
  private final Clock attention = clock("attention");
  private final Clock gate = clock("gate");
  private final Clock route = clock("route");
  private final Clock gather = clock("gather");
  private final Clock combine = clock("combine");
  private final Clock sample = clock("sample");
  private final Clock topLogProbabilities = clock("top_log_probabilities");

  /** What an op has taken since the last look. */
  private static final class Clock {
    long calls;
    long nanos;

    void add(long begin) {
      calls++;
      nanos += System.nanoTime() - begin;
    }
  }

  /** @param inner is closed with this */
  public ProfiledBackend(Backend inner) {
    super(inner);
    inner.measureKernels(true);
  }

  private Clock clock(String op) {
    Clock clock = new Clock();
    clocks.put(op, clock);
    return clock;
  }

  /** What each op took since the last call; ops that did not run are left out. */
  public List<OpTime> take() {
    Map<String, KernelTime> kernels = inner.kernelTimes();
    List<OpTime> times = new ArrayList<>();
    clocks.forEach((op, clock) -> {
      if (clock.calls > 0) {
        KernelTime kernel = kernels.getOrDefault(op, KernelTime.NONE).minus(kernelsBefore.getOrDefault(op, KernelTime.NONE));
        times.add(new OpTime(op, clock.calls, clock.nanos, kernel));
      }
      clock.calls = 0;
      clock.nanos = 0;
    });
    kernelsBefore = kernels;
    return times;
  }

  /** Closing it counts as an op by itself: kernels that had to wait run in it. */
  @Override
  public Batch batch() {
    Batch opened = inner.batch();
    return () -> {
      long begin = System.nanoTime();
      opened.close();
      batch.add(begin);
    };
  }

  @Override
  public void embed(Op.Embed op) {
    long begin = System.nanoTime();
    inner.embed(op);
    embed.add(begin);
  }

  @Override
  public void linear(Op.Linear op) {
    long begin = System.nanoTime();
    inner.linear(op);
    linear.add(begin);
  }

  @Override
  public void norm(Op.Norm op) {
    long begin = System.nanoTime();
    inner.norm(op);
    norm.add(begin);
  }

  @Override
  public void ropeTable(Op.RopeTable op) {
    long begin = System.nanoTime();
    inner.ropeTable(op);
    ropeTable.add(begin);
  }

  @Override
  public void rope(Op.Rope op) {
    long begin = System.nanoTime();
    inner.rope(op);
    rope.add(begin);
  }

  @Override
  public void kvWrite(Op.KvWrite op) {
    long begin = System.nanoTime();
    inner.kvWrite(op);
    kvWrite.add(begin);
  }

  @Override
  public void attention(Op.Attention op) {
    long begin = System.nanoTime();
    inner.attention(op);
    attention.add(begin);
  }

  @Override
  public void gate(Op.Gate op) {
    long begin = System.nanoTime();
    inner.gate(op);
    gate.add(begin);
  }

  @Override
  public void route(Op.Route op) {
    long begin = System.nanoTime();
    inner.route(op);
    route.add(begin);
  }

  @Override
  public void gather(Op.Gather op) {
    long begin = System.nanoTime();
    inner.gather(op);
    gather.add(begin);
  }

  @Override
  public void combine(Op.Combine op) {
    long begin = System.nanoTime();
    inner.combine(op);
    combine.add(begin);
  }

  @Override
  public void sample(Op.Sample op) {
    long begin = System.nanoTime();
    inner.sample(op);
    sample.add(begin);
  }

  @Override
  public void topLogProbabilities(Op.TopLogProbabilities op) {
    long begin = System.nanoTime();
    inner.topLogProbabilities(op);
    topLogProbabilities.add(begin);
  }
}
