package dev.lanes.engine;

import dev.lanes.backend.KernelTime;
import dev.lanes.backend.OpTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Where the time of steps of one kind went.
 *
 * @param steps steps made
 * @param tokens tokens that went through the model in them
 * @param nanos wall time, from the choice of who takes part to the last listener that was told
 * @param ops what each op took of it, in the order of the backend's ops
 */
public record StepProfile(long steps, long tokens, long nanos, List<OpTime> ops) {
  public StepProfile {
    ops = List.copyOf(ops);
  }

  /** Wall time outside of ops: the engine's own work, and the model's between two ops. */
  public long outsideNanos() {
    return nanos - ops.stream().mapToLong(OpTime::nanos).sum();
  }

  /** Time inside ops but not in their kernels: checks and the way through JNI. 0 where the backend's kernels have no clocks. */
  public long callNanos() {
    long kernels = ops.stream().mapToLong(op -> op.kernel().nanos()).sum();
    return kernels == 0 ? 0 : ops.stream().mapToLong(OpTime::nanos).sum() - kernels;
  }

  /** Time that the engine's thread waited for the other threads inside kernels. */
  public long waitNanos() {
    return ops.stream().mapToLong(op -> op.kernel().waitNanos()).sum();
  }

  /** The part of the wall time in which the engine's thread ran no kernel: {@link #outsideNanos} + call + wait. */
  public double shareBetweenKernels() {
    return nanos == 0 ? 0 : (outsideNanos() + callNanos() + waitNanos()) / (double) nanos;
  }

  /**
   * One line for each op and for what lies between them: microseconds a step and percent of it. {@code wait}: the engine's thread waited
   * for the others inside the op; {@code idle}: the other threads, summed, had nothing to do while the op's work was shared.
   */
  public List<String> table() {
    if (steps == 0) {
      return List.of("no steps");
    }
    List<String> lines = new ArrayList<>();
    lines.add(String.format(Locale.ROOT, "%-24s %9s %10s %7s %9s %9s", "a step", "calls", "us", "%", "wait us", "idle us"));
    boolean clocks = callNanos() > 0;
    for (OpTime op : ops) {
      KernelTime kernel = op.kernel();
      if (clocks && kernel.calls() == 0) {
        continue;
      }
      long time = clocks ? kernel.nanos() : op.nanos();
      lines.add(String.format(Locale.ROOT, "%-24s %9.1f %10.1f %7.1f %9.1f %9.1f", op.op(), op.calls() / (double) steps, micros(time),
          percent(time), micros(kernel.waitNanos()), micros(kernel.idleNanos())));
    }
    lines.add(line("outside of ops", outsideNanos()));
    lines.add(line("calls: checks, JNI", callNanos()));
    lines.add(line("wait for threads", waitNanos()));
    lines.add(line("all between kernels", outsideNanos() + callNanos() + waitNanos()));
    lines.add(line("step", nanos));
    return lines;
  }

  private String line(String name, long amount) {
    return String.format(Locale.ROOT, "%-34s %10.1f %7.1f", name, micros(amount), percent(amount));
  }

  private double micros(long amount) {
    return amount * 1e-3 / steps;
  }

  private double percent(long amount) {
    return 100.0 * amount / nanos;
  }
}
