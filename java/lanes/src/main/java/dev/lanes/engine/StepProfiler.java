package dev.lanes.engine;

import dev.lanes.backend.OpTime;
import dev.lanes.backend.ProfiledBackend;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Adds up where the time of an engine's steps goes. {@link #begin}, {@link #enter} and {@link #end} are called by the engine's thread.
 * Whoever asks waits for the step under way: a listener that was told of the last token finds its step counted.
 */
final class StepProfiler {
  private final ProfiledBackend backend;
  /** Held during steps. Fair: the next step would otherwise begin before somebody who asks got a look. */
  private final ReentrantLock lock = new ReentrantLock(true);
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

  /** A step begins; {@link #end} follows whatever becomes of it. */
  void enter() {
    lock.lock();
  }

  /** The step is done and told; the next one, if there is one, begins here. */
  void end(List<Slice> slices) {
    try {
      add(slices, System.nanoTime() - begin);
    } finally {
      lock.unlock();
      begin = System.nanoTime();
    }
  }

  private void add(List<Slice> slices, long nanos) {
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
  }

  ModelProfile profile() {
    lock.lock();
    try {
      return new ModelProfile(prefill.profile(), decode.profile());
    } finally {
      lock.unlock();
    }
  }

  void reset() {
    lock.lock();
    try {
      prefill = new Sum();
      decode = new Sum();
    } finally {
      lock.unlock();
    }
  }
}
