package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/** Runs the same op on the Java reference and on every native instruction set of this machine. */
final class OpComparison implements AutoCloseable {
  /** Runs an op with given inputs and reads its output. */
  interface Run<T> {
    T on(Backend backend);
  }

  private final Backend reference = Backends.open(TestBackends.reference());
  private final List<Backend> natives = new ArrayList<>();

  OpComparison() {
    for (BackendOptions options : TestBackends.natives()) {
      natives.add(Backends.open(options));
    }
  }

  List<Backend> natives() {
    return natives;
  }

  Backend reference() {
    return reference;
  }

  /** The reference, then the native ones. */
  List<Backend> all() {
    List<Backend> all = new ArrayList<>(natives);
    all.add(0, reference);
    return all;
  }

  /** That all give the same. */
  <T> void same(Object what, Run<T> run) {
    T expected = run.on(reference);
    for (Backend backend : natives) {
      assertThat(run.on(backend)).as(describe(what, backend)).isEqualTo(expected);
    }
  }

  /** That no element is further from the reference's than {@code bound[i]}. */
  void within(Object what, double[] bound, Run<float[]> run) {
    within(what, run, i -> bound[i]);
  }

  /** That no element is further from the reference's than {@code bound}. */
  void within(Object what, double bound, Run<float[]> run) {
    within(what, run, i -> bound);
  }

  private void within(Object what, Run<float[]> run, IntToDoubleFunction bound) {
    float[] expected = run.on(reference);
    for (Backend backend : natives) {
      float[] actual = run.on(backend);
      assertThat(actual).as(describe(what, backend)).hasSameSizeAs(expected);
      for (int i = 0; i < expected.length; i++) {
        boolean same = Float.compare(actual[i], expected[i]) == 0;
        if (!same && !(Math.abs(actual[i] - (double) expected[i]) <= bound.applyAsDouble(i))) {
          throw new AssertionError(describe(what, backend) + ": element " + i + " is " + actual[i] + ", expected " + expected[i] + " +- "
              + bound.applyAsDouble(i));
        }
      }
    }
  }

  private static String describe(Object what, Backend backend) {
    return TestInputs.context(what + " on " + backend.info().isa());
  }

  @Override
  public void close() {
    natives.forEach(Backend::close);
    reference.close();
  }
}
