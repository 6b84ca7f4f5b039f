package dev.lanes.engine;

import dev.lanes.backend.OpTime;
import dev.lanes.backend.ProfiledBackend;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Adds up where the time of an engine's steps goes. {@link #begin} and {@link #end} are called by the engine's thread. */
final class StepProfiler {
  private final ProfiledBackend backend;
  private Sum prefill = new Sum();
  private Sum decode = new Sum();
  private long begin;

  /** Steps of one kind. */
  private static final class Sum {
    long steps;
    long tokens;
    long nanos;
    final Map<String, OpTime> ops = new LinkedHashMap<>();

    StepProfile profile() {
      return new StepProfile(steps, tokens, nanos, new ArrayList<>(ops.values()));
    }
  }

  StepProfiler(ProfiledBackend backend) {
    this.backend = backend;
  }

  /** There is something to do again. */
  void begin() {
    begin = System.nanoTime();
  }

  /** The step is done and told; the next one, if there is one, begins here. */
  synchronized void end(List<Slice> slices) {
    long nanos = System.nanoTime() - begin;
    int tokens = 0;
    for (Slice slice : slices) {
      tokens += slice.count();
    }
    Sum sum = tokens > slices.size() ? prefill : decode;
    sum.steps++;
    sum.tokens += tokens;
    sum.nanos += nanos;
    for (OpTime time : backend.take()) {
      sum.ops.merge(time.op(), time, OpTime::plus);
    }
    begin = System.nanoTime();
  }

  synchronized ModelProfile profile() {
    return new ModelProfile(prefill.profile(), decode.profile());
  }

  synchronized void reset() {
    prefill = new Sum();
    decode = new Sum();
  }
}
