package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Ops that wait for the end of a batch, or for somebody who looks. */
@Timeout(120)
@ExtendWith(MemoryBaseline.class)
class BatchTest {
  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  private static Op.Gate product(Tensor a, Tensor b, Tensor y) {
    return new Op.Gate(Activation.NONE, a, b, y);
  }

  @ParameterizedTest
  @MethodSource("all")
  void givesWhatOpsGiveOneByOne(BackendOptions options) {
    float[] values = new TestInputs("batch").floats(64 * 40);
    int[] ids = new TestInputs("batch ids").ints(3000, 64);
    try (Backend b = Backends.open(options)) {
      PackedWeight weight = TestBackends.weight(b, 64, 40, DType.F32, values);
      Tensor one = b.tensor(MemoryTag.OTHER, 1, 40);
      Tensor y = b.tensor(MemoryTag.OTHER, ids.length, 40);
      Tensor rows = b.tensor(MemoryTag.OTHER, 2, 40);
      try (Backend.Batch batch = b.batch()) {
        // More ops than the queue holds, and arrays of more bytes than the staging memory; each must keep its own.
        for (int i = 0; i < ids.length; i++) {
          b.embed(new Op.Embed(weight, new int[] {ids[i]}, false, y.rows(i, 1)));
        }
        for (int i = 0; i < 20; i++) {
          b.embed(new Op.Embed(weight, ids.clone(), true, y));
        }
        b.gather(new Op.Gather(y, new int[] {ids.length - 1, 0}, rows));
        b.gate(product(rows.rows(0, 1), rows.rows(1, 1), one));
      }
      float[] result = y.toArray();
      for (int i = 0; i < ids.length; i++) {
        for (int c = 0; c < 40; c++) {
          float expected = values[ids[i] * 40 + c];
          float sum = expected;
          for (int n = 0; n < 20; n++) {
            sum += expected;
          }
          assertThat(result[i * 40 + c]).isEqualTo(sum);
        }
      }
      assertThat(one.toArray()[7]).isEqualTo(result[(ids.length - 1) * 40 + 7] * result[7]);
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void whoeverLooksSeesTheResult(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      Tensor x = TestBackends.tensor(b, 1, 2, new float[] {3, 5});
      Tensor y = b.tensor(MemoryTag.OTHER, 1, 2);
      int[] expert = new int[1];
      float[] weight = new float[1];
      try (Backend.Batch outer = b.batch(); Backend.Batch inner = b.batch()) {
        b.gate(product(x, x, y));
        assertThat(y.toArray()).containsExactly(9, 25);
        b.gate(product(y, x, y));
        b.route(new Op.Route(y, 1, true, expert, weight));
        assertThat(expert).containsExactly(1);
        b.gate(product(y, x, y));
        // What is copied in comes after what was asked for before.
        x.copyFrom(new float[] {1, 1}, 0);
        b.gate(product(y, x, y));
        inner.close();
        inner.close();
        b.gate(product(y, y, y));
        x.close();
      }
      assertThat(y.toArray()).containsExactly(81f * 81, 625f * 625);
      b.gate(product(y, y, y));
      assertThat(y.toArray()[0]).isEqualTo(81f * 81 * 81 * 81);
    }
  }

  /** What is chosen is there at the end of the outermost batch, and ops may share arrays. */
  @ParameterizedTest
  @MethodSource("all")
  void samplesAtTheEnd(BackendOptions options) {
    float[] values = new TestInputs("batch").floats(3 * 20);
    int[] rows = {2, 0};
    int[] tokens = new int[2];
    float[] logProbabilities = new float[2];
    int[] top = new int[2 * 3];
    float[] topLogProbabilities = new float[2 * 3];
    try (Backend b = Backends.open(options)) {
      Tensor x = TestBackends.tensor(b, 3, 20, values);
      Tensor y = b.tensor(MemoryTag.OTHER, 2, 20);
      Tensor z = b.tensor(MemoryTag.OTHER, 2, 20);
      SampleRow[] greedy = {SampleRow.greedy(), SampleRow.greedy()};
      try (Backend.Batch outer = b.batch()) {
        try (Backend.Batch inner = b.batch()) {
          b.gather(new Op.Gather(x, rows, y));
          b.gather(new Op.Gather(x, rows, z));
        }
        b.sample(new Op.Sample(y, greedy, tokens, logProbabilities));
        b.topLogProbabilities(new Op.TopLogProbabilities(z, 3, top, topLogProbabilities));
      }
      assertThat(y.toArray()).isEqualTo(z.toArray());
      for (int i = 0; i < 2; i++) {
        int best = 0;
        for (int c = 1; c < 20; c++) {
          best = values[rows[i] * 20 + c] > values[rows[i] * 20 + best] ? c : best;
        }
        assertThat(tokens[i]).isEqualTo(best).isEqualTo(top[i * 3]);
        assertThat(logProbabilities[i]).isEqualTo(topLogProbabilities[i * 3]).isNegative();
      }
      // An array that has changed since is another one.
      rows[0] = 1;
      b.gather(new Op.Gather(x, rows, y));
      assertThat(y.rows(0, 1).toArray()).isEqualTo(x.rows(1, 1).toArray());
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void wrongOpsAreRefusedAndTheBatchGoesOn(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      Tensor x = TestBackends.tensor(b, 1, 2, new float[] {3, 5});
      Tensor narrow = b.tensor(MemoryTag.OTHER, 1, 1);
      Tensor y = b.tensor(MemoryTag.OTHER, 1, 2);
      try (Backend.Batch batch = b.batch()) {
        b.gate(product(x, x, y));
        assertThatThrownBy(() -> b.gate(product(x, narrow, y))).isInstanceOf(IllegalArgumentException.class);
        b.gate(product(y, x, y));
      }
      assertThat(y.toArray()).containsExactly(27, 125);
    }
  }

  /** Closing waits: nothing is taken from under ops that wait. */
  @ParameterizedTest
  @MethodSource("all")
  void otherThreadsCloseAfterwards(BackendOptions options) throws Exception {
    try (Backend b = Backends.open(options)) {
      Tensor x = TestBackends.tensor(b, 1, 2, new float[] {3, 5});
      Tensor y = b.tensor(MemoryTag.OTHER, 1, 2);
      CountDownLatch started = new CountDownLatch(1);
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Thread closer = new Thread(() -> {
        started.countDown();
        try {
          x.close();
        } catch (Throwable t) {
          failure.set(t);
        }
      });
      try (Backend.Batch batch = b.batch()) {
        b.gate(product(x, x, y));
        closer.start();
        started.await();
        if (!b.info().name().equals("reference")) {
          closer.join(20);
          assertThat(closer.isAlive()).isTrue();
          b.gate(product(x, y, y));
        }
      }
      closer.join(TimeUnit.SECONDS.toMillis(60));
      assertThat(closer.isAlive()).isFalse();
      assertThat(failure).hasNullValue();
      assertThat(y.toArray()).startsWith(b.info().name().equals("reference") ? 9 : 27);
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void belongsToItsThread(BackendOptions options) throws Exception {
    try (Backend b = Backends.open(options)) {
      if (b.info().name().equals("reference")) {
        return;
      }
      AtomicReference<Throwable> refusal = new AtomicReference<>();
      try (Backend.Batch batch = b.batch()) {
        Thread other = new Thread(() -> {
          try {
            batch.close();
          } catch (Throwable t) {
            refusal.set(t);
          }
        });
        other.start();
        other.join();
      }
      assertThat(refusal.get()).isInstanceOf(IllegalStateException.class).hasMessageContaining("thread");
      b.close();
      assertThatThrownBy(b::batch).isInstanceOf(IllegalStateException.class).hasMessageContaining("closed");
    }
  }
}
