package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Wrong arguments of every op: the same exception on every backend, with the op and the argument in its message. */
@ExtendWith(MemoryBaseline.class)
class OpArgumentsTest {
  private static final int[] NO_INTS = {};

  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  /** Something wrong, and words that the message must hold. */
  private record Wrong(Runnable call, Class<? extends Exception> type, String... words) {}

  /** A backend with arguments that are right together: 3 tokens, 2 heads of 4 dimensions, vocabulary 10. */
  private static final class Fixture implements AutoCloseable {
    final Backend b;
    final Tensor x;
    final Tensor y;
    final Tensor one;
    final Tensor narrow;
    final Tensor tall;
    final Tensor table;
    final Tensor table2;
    final Tensor wide;
    final PackedWeight weight;
    final PackedWeight vocabulary;
    final KvPages pages;
    final List<Wrong> wrongs = new ArrayList<>();

    Fixture(BackendOptions options) {
      b = Backends.open(options);
      x = b.tensor(MemoryTag.OTHER, 3, 8);
      y = b.tensor(MemoryTag.OTHER, 3, 8);
      one = b.tensor(MemoryTag.OTHER, 1, 8);
      narrow = b.tensor(MemoryTag.OTHER, 3, 7);
      tall = b.tensor(MemoryTag.OTHER, 4, 8);
      table = b.tensor(MemoryTag.OTHER, 3, 2);
      table2 = b.tensor(MemoryTag.OTHER, 3, 2);
      wide = b.tensor(MemoryTag.OTHER, 3, 32);
      weight = b.weight(8, 8, DType.F32);
      vocabulary = b.weight(10, 8, DType.BF16);
      pages = b.kvPages(new KvPages.Spec(2, 2, 1, 4, DType.F32));
    }

    void illegal(Runnable call, String... words) {
      wrongs.add(new Wrong(call, IllegalArgumentException.class, words));
    }

    void missing(Runnable call, String... words) {
      wrongs.add(new Wrong(call, NullPointerException.class, words));
    }

    @Override
    public void close() {
      // Closes everything in it.
      b.close();
    }
  }

  private static void run(BackendOptions options, Consumer<Fixture> fill) {
    try (Fixture f = new Fixture(options)) {
      fill.accept(f);
      assertThat(f.wrongs).isNotEmpty();
      for (int i = 0; i < f.wrongs.size(); i++) {
        Wrong wrong = f.wrongs.get(i);
        Throwable thrown = catchThrowable(wrong.call::run);
        assertThat(thrown).as("wrong call %d, %s", i, List.of(wrong.words)).isExactlyInstanceOf(wrong.type);
        assertThat(thrown.getMessage()).contains(wrong.words);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void embed(BackendOptions options) {
    run(options, f -> {
      int[] ids = {0, 9, 3};
      f.b.embed(new Op.Embed(f.vocabulary, ids, false, f.y));
      f.missing(() -> f.b.embed(new Op.Embed(null, ids, false, f.y)), "embed", "weight");
      f.missing(() -> f.b.embed(new Op.Embed(f.vocabulary, null, false, f.y)), "embed", "ids");
      f.missing(() -> f.b.embed(new Op.Embed(f.vocabulary, ids, false, null)), "embed", "y");
      f.illegal(() -> f.b.embed(new Op.Embed(f.vocabulary, new int[] {0, 10, 3}, false, f.y)), "ids[1] is 10", "0 to 9");
      f.illegal(() -> f.b.embed(new Op.Embed(f.vocabulary, new int[] {0, 1, -1}, false, f.y)), "ids[2] is -1");
      f.illegal(() -> f.b.embed(new Op.Embed(f.vocabulary, new int[] {0, 1}, false, f.y)), "y is [3, 8]", "[2, 8]");
      f.illegal(() -> f.b.embed(new Op.Embed(f.vocabulary, ids, false, f.narrow)), "y is [3, 7]", "[3, 8]");
    });
  }

  @ParameterizedTest
  @MethodSource("all")
  void linear(BackendOptions options) {
    run(options, f -> {
      f.b.linear(linear(f, f.x, f.weight, f.one, f.y, Activation.SILU, Compute.EXACT, f.y));
      f.missing(() -> f.b.linear(linear(f, null, f.weight, null, null, Activation.NONE, Compute.EXACT, f.y)), "linear: x");
      f.missing(() -> f.b.linear(linear(f, f.x, null, null, null, Activation.NONE, Compute.EXACT, f.y)), "linear: weight");
      f.missing(() -> f.b.linear(linear(f, f.x, f.weight, null, null, null, Compute.EXACT, f.y)), "linear: activation");
      f.missing(() -> f.b.linear(linear(f, f.x, f.weight, null, null, Activation.NONE, null, f.y)), "linear: compute");
      f.missing(() -> f.b.linear(linear(f, f.x, f.weight, null, null, Activation.NONE, Compute.EXACT, null)), "linear: y");
      f.illegal(() -> f.b.linear(linear(f, f.narrow, f.weight, null, null, Activation.NONE, Compute.EXACT, f.y)), "x is [3, 7]");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, null, null, Activation.NONE, Compute.EXACT, f.tall)), "y is [4, 8]");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, f.tall, null, Activation.NONE, Compute.EXACT, f.y)), "bias is [4, 8]");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, null, f.tall, Activation.NONE, Compute.EXACT, f.y)), "residual is [4, 8]");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, null, null, Activation.NONE, Compute.BF16, f.y)), "BF16", "F32");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, null, null, Activation.NONE, Compute.F16, f.y)), "F16", "F32", "expected EXACT");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, null, null, Activation.NONE, Compute.EXACT, f.x)), "overlap");
      f.illegal(() -> f.b.linear(linear(f, f.tall.rows(0, 3), f.weight, null, null, Activation.NONE, Compute.EXACT, f.tall.rows(1, 3))),
          "overlap");
      f.illegal(() -> f.b.linear(linear(f, f.x, f.weight, null, f.wide.columns(0, 8), Activation.NONE, Compute.EXACT,
          f.wide.columns(4, 8))), "overlap");
    });
  }

  private static Op.Linear linear(Fixture f, Tensor x, PackedWeight weight, Tensor bias, Tensor residual, Activation activation,
      Compute compute, Tensor y) {
    return new Op.Linear(x, weight, bias, residual, activation, compute, y);
  }

  @ParameterizedTest
  @MethodSource("all")
  void norm(BackendOptions options) {
    run(options, f -> {
      NormKind rms = NormKind.RMS;
      f.b.norm(new Op.Norm(rms, 0, f.x, f.y, f.one, f.one, f.x, f.y));
      f.missing(() -> f.b.norm(new Op.Norm(null, 0, f.x, null, f.one, null, null, f.y)), "norm: kind");
      f.missing(() -> f.b.norm(new Op.Norm(rms, 0, null, null, f.one, null, null, f.y)), "norm: x");
      f.missing(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, null, null, null, f.y)), "norm: weight");
      f.missing(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, f.one, null, null, null)), "norm: y");
      for (float epsilon : new float[] {-1e-9f, Float.NaN, Float.POSITIVE_INFINITY}) {
        f.illegal(() -> f.b.norm(new Op.Norm(rms, epsilon, f.x, null, f.one, null, null, f.y)), "epsilon " + epsilon);
      }
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.x, f.tall, f.one, null, null, f.y)), "residual is [4, 8]");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, f.x, null, null, f.y)), "weight is [3, 8]");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, f.one, f.narrow, null, f.y)), "bias is [3, 7]");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, f.one, null, f.tall, f.y)), "sum is [4, 8]");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, f.one, null, null, f.narrow)), "y is [3, 7]");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.x, null, f.one, null, f.y, f.y)), "overlap");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.tall.rows(0, 3), null, f.one, null, null, f.tall.rows(1, 3))), "overlap");
      f.illegal(() -> f.b.norm(new Op.Norm(rms, 0, f.tall.rows(0, 1), null, f.one, null, null, f.one)), "overlap");
    });
  }

  @ParameterizedTest
  @MethodSource("all")
  void rope(BackendOptions options) {
    run(options, f -> {
      long[] positions = {0, 1, 2};
      double[] frequency = {1, 0.1};
      f.b.ropeTable(new Op.RopeTable(positions, frequency, 1, f.table, f.table2));
      f.missing(() -> f.b.ropeTable(new Op.RopeTable(null, frequency, 1, f.table, f.table2)), "positions");
      f.missing(() -> f.b.ropeTable(new Op.RopeTable(positions, null, 1, f.table, f.table2)), "inverseFrequency");
      f.missing(() -> f.b.ropeTable(new Op.RopeTable(positions, frequency, 1, null, f.table2)), "cos");
      f.missing(() -> f.b.ropeTable(new Op.RopeTable(positions, frequency, 1, f.table, null)), "sin");
      f.illegal(() -> f.b.ropeTable(new Op.RopeTable(new long[] {0, -5, 1}, frequency, 1, f.table, f.table2)), "positions[1] is -5");
      f.illegal(() -> f.b.ropeTable(new Op.RopeTable(positions, new double[] {1, Double.NaN}, 1, f.table, f.table2)), "[1] is NaN");
      f.illegal(() -> f.b.ropeTable(new Op.RopeTable(positions, frequency, Float.NaN, f.table, f.table2)), "scale NaN");
      f.illegal(() -> f.b.ropeTable(new Op.RopeTable(positions, frequency, 1, f.x, f.table2)), "cos is [3, 8]");
      f.illegal(() -> f.b.ropeTable(new Op.RopeTable(positions, frequency, 1, f.table, f.x.columns(0, 2))), "sin", "stride 8");
      f.illegal(() -> f.b.ropeTable(new Op.RopeTable(positions, frequency, 1, f.table, f.table)), "overlap");

      RopePairing half = RopePairing.HALF;
      f.b.rope(new Op.Rope(half, 2, 4, f.table, f.table2, f.x, f.x));
      f.missing(() -> f.b.rope(new Op.Rope(null, 2, 4, f.table, f.table2, f.x, f.y)), "pairing");
      f.missing(() -> f.b.rope(new Op.Rope(half, 2, 4, null, f.table2, f.x, f.y)), "cos");
      f.missing(() -> f.b.rope(new Op.Rope(half, 2, 4, f.table, null, f.x, f.y)), "sin");
      f.missing(() -> f.b.rope(new Op.Rope(half, 2, 4, f.table, f.table2, null, f.y)), "rope: x");
      f.missing(() -> f.b.rope(new Op.Rope(half, 2, 4, f.table, f.table2, f.x, null)), "rope: y");
      f.illegal(() -> f.b.rope(new Op.Rope(half, 0, 4, f.table, f.table2, f.x, f.y)), "0 heads");
      f.illegal(() -> f.b.rope(new Op.Rope(half, 2, -4, f.table, f.table2, f.x, f.y)), "-4 dimensions");
      f.illegal(() -> f.b.rope(new Op.Rope(half, Integer.MAX_VALUE, Integer.MAX_VALUE, f.table, f.table2, f.x, f.y)), "too wide");
      f.illegal(() -> f.b.rope(new Op.Rope(half, 4, 2, f.table, f.table2, f.x, f.y)), "2 rotated pairs");
      f.illegal(() -> f.b.rope(new Op.Rope(half, 3, 4, f.table, f.table2, f.x, f.y)), "x is [3, 8]", "[3, 12]");
      f.illegal(() -> f.b.rope(new Op.Rope(half, 2, 4, f.table.rows(0, 2), f.table2, f.x, f.y)), "cos is [2, 2]");
      f.illegal(() -> f.b.rope(new Op.Rope(half, 2, 4, f.table, f.table2, f.tall.rows(0, 3), f.tall.rows(1, 3))), "overlap");
    });
  }

  @ParameterizedTest
  @MethodSource("all")
  void kvWrite(BackendOptions options) {
    run(options, f -> {
      Tensor k = f.wide.columns(0, 4);
      Tensor v = f.wide.columns(4, 4);
      long[] slots = {127, -1, 0};
      f.b.kvWrite(new Op.KvWrite(f.pages, 1, slots, k, v));
      f.missing(() -> f.b.kvWrite(new Op.KvWrite(null, 0, slots, k, v)), "pages");
      f.missing(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, null, k, v)), "slots");
      f.missing(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, slots, null, v)), "kvWrite: k");
      f.missing(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, slots, k, null)), "kvWrite: v");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 2, slots, k, v)), "layer 2", "0 to 1");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, -1, slots, k, v)), "layer -1");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, new long[] {0, 128, 1}, k, v)), "slots[1] is 128", "-1 to 127");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, new long[] {0, 1, -2}, k, v)), "slots[2] is -2");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, new long[] {0, Long.MAX_VALUE, -1}, k, v)), "slots[1]");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, new long[] {5, 3, 5}, k, v)), "slots holds 5 twice");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, new long[] {5, 3}, k, v)), "k is [3, 4]");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, slots, f.x, v)), "k is [3, 8]");
      f.illegal(() -> f.b.kvWrite(new Op.KvWrite(f.pages, 0, slots, k, f.x)), "v is [3, 8]");
      RopePairing half = RopePairing.HALF;
      f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.table2, f.x)));
      f.b.kvWrite(rotated(f, new Op.Rotation(RopePairing.INTERLEAVED, f.table, f.table, null)));
      f.missing(() -> f.b.kvWrite(rotated(f, new Op.Rotation(null, f.table, f.table2, f.x))), "pairing");
      f.missing(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, null, f.table2, f.x))), "cos");
      f.missing(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, null, f.x))), "sin");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, k, k, f.x))), "4 rotated pairs", "4 dimensions");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table.rows(0, 2), f.table2, f.x))), "cos is [2, 2]", "[3, 2]");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.table2.columns(0, 1), f.x))), "sin is [3, 1]");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.x.columns(0, 2), f.y))), "sin", "stride 8");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.table2, f.narrow))), "q is [3, 7]", "heads of 4");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.table2, f.tall))), "q is [4, 8]", "[3, 8]");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.table2, f.wide.columns(3, 4)))), "q and k overlap");
      f.illegal(() -> f.b.kvWrite(rotated(f, new Op.Rotation(half, f.table, f.table2, f.wide.columns(7, 4)))), "q and v overlap");
      f.illegal(() -> f.pages.poison(2), "page 2", "0 to 1");
      f.illegal(() -> f.pages.poison(-1), "page -1");
    });
  }

  private static Op.KvWrite rotated(Fixture f, Op.Rotation rotation) {
    return new Op.KvWrite(f.pages, 1, new long[] {127, -1, 0}, f.wide.columns(0, 4), f.wide.columns(4, 4), rotation);
  }

  @ParameterizedTest
  @MethodSource("all")
  void attention(BackendOptions options) {
    run(options, f -> {
      Op.Ragged good = ragged(3, 70, new int[][] {{0, 1}}, 0, 0);
      f.b.attention(attention(f, 1, 2, true, 1, f.x, null, good, f.y));
      f.b.attention(attention(f, 1, 2, true, 1, f.x, null, good, f.x));
      f.missing(() -> f.b.attention(new Op.Attention(null, 0, 2, true, 1, f.x, null, good, f.y)), "pages");
      f.missing(() -> f.b.attention(attention(f, 0, 2, true, 1, null, null, good, f.y)), "attention: q");
      f.missing(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, null, null, f.y)), "ragged");
      f.missing(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, null, good, null)), "out");
      f.missing(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, null, ragged(3, 70, new int[][] {null}, 0, 0), f.y)), "page table");
      f.missing(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, null,
          new Op.Ragged(new long[] {0, 3}, new long[] {70}, new int[][] {{0, 1}}, null, new long[1]), f.y)), "window");
      f.illegal(() -> f.b.attention(attention(f, 2, 2, true, 1, f.x, null, good, f.y)), "layer 2");
      f.illegal(() -> f.b.attention(attention(f, 0, 0, true, 1, f.x, null, good, f.y)), "0 heads");
      f.illegal(() -> f.b.attention(attention(f, 0, 3, true, 1, f.x, null, good, f.y)), "q is [3, 8]", "[3, 12]");
      f.illegal(() -> f.b.attention(attention(f, 0, 2, true, Float.NaN, f.x, null, good, f.y)), "scale NaN");
      f.missing(() -> f.b.attention(new Op.Attention(f.pages, 0, 2, true, 1, f.x, null, good, null, f.y)), "compute");
      for (Compute compute : new Compute[] {Compute.BF16, Compute.F16, Compute.INT8}) {
        f.illegal(() -> f.b.attention(new Op.Attention(f.pages, 0, 2, true, 1, f.x, null, good, compute, f.y)),
            "compute " + compute + " with pages of F32");
      }
      KvPages.Spec spec = f.pages.spec();
      KvPages int8 = f.b.kvPages(new KvPages.Spec(spec.pages(), spec.layers(), spec.kvHeads(), spec.headDim(), DType.S8));
      f.b.attention(new Op.Attention(int8, 0, 2, true, 1, f.x, null, good, f.y));
      f.illegal(() -> f.b.attention(new Op.Attention(int8, 0, 2, true, 1, f.x, null, good, Compute.EXACT, f.y)),
          "compute EXACT with pages of S8");
      KvPages halves = f.b.kvPages(new KvPages.Spec(spec.pages(), spec.layers(), spec.kvHeads(), spec.headDim(), DType.F16));
      f.b.attention(new Op.Attention(halves, 0, 2, true, 1, f.x, null, good, Compute.F16, f.y));
      f.illegal(() -> f.b.attention(new Op.Attention(halves, 0, 2, true, 1, f.x, null, good, Compute.BF16, f.y)),
          "compute BF16 with pages of F16");
      f.illegal(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, null, good, f.tall)), "out is [4, 8]");
      f.illegal(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, f.tall, good, f.y)), "qSink is [4, 8]");
      f.illegal(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, f.wide.columns(0, 8), good, f.y)), "qSink has stride 32");
      f.illegal(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, f.x, good, f.x)), "overlap");
      bad(f, ragged(3, 2, new int[][] {{0, 1}}, 0, 0), "keyCount[0] is 2", "3 queries");
      bad(f, ragged(3, Long.MAX_VALUE, new int[][] {{0, 1}}, 0, 0), "keyCount[0]");
      bad(f, ragged(3, 129, new int[][] {{0, 1}}, 0, 0), "pageTable[0] has 2 pages");
      bad(f, ragged(3, 70, new int[][] {{0, 2}}, 0, 0), "pageTable[0][1] is 2", "0 to 1");
      bad(f, ragged(3, 70, new int[][] {{-1, 1}}, 0, 0), "pageTable[0][0] is -1");
      bad(f, ragged(3, 70, new int[][] {{-1, 1}}, 2, 1), "pageTable[0][0] is -1");
      bad(f, ragged(3, 70, new int[][] {{0, 1}}, -1, 0), "window[0] is -1");
      bad(f, ragged(3, 70, new int[][] {{0, 1}}, 0, -1), "sinks[0] is -1");
      bad(f, new Op.Ragged(new long[] {1, 4}, new long[] {70}, new int[][] {{0, 1}}, new long[1], new long[1]), "queryBegin[0] is 1");
      bad(f, new Op.Ragged(new long[] {0}, new long[] {70}, new int[][] {{0, 1}}, new long[1], new long[1]), "queryBegin has 1");
      bad(f, new Op.Ragged(new long[] {0, 3}, new long[] {70}, new int[][] {}, new long[1], new long[1]), "pageTable has 0");
      bad(f, new Op.Ragged(new long[] {0, 3}, new long[] {70}, new int[][] {{0, 1}}, new long[2], new long[1]), "window has 2");
      bad(f, new Op.Ragged(new long[] {0, 3}, new long[] {70}, new int[][] {{0, 1}}, new long[1], new long[0]), "sinks has 0");
      bad(f, new Op.Ragged(new long[] {0, 4, 3}, new long[] {70, 5}, new int[][] {{0, 1}, {0}}, new long[2], new long[2]),
          "queryBegin[2] is 3");
      bad(f, ragged(2, 70, new int[][] {{0, 1}}, 0, 0), "q is [3, 8]", "[2, 8]");
      f.illegal(() -> f.b.attention(attention(f, 0, 2, false, 1, f.x, null, ragged(3, 70, new int[][] {{0, 1}}, 5, 0), f.y)),
          "a window needs causal");
    });
  }

  private static void bad(Fixture f, Op.Ragged ragged, String... words) {
    f.illegal(() -> f.b.attention(attention(f, 0, 2, true, 1, f.x, null, ragged, f.y)), words);
  }

  private static Op.Ragged ragged(long queries, long keys, int[][] table, long window, long sinks) {
    return new Op.Ragged(new long[] {0, queries}, new long[] {keys}, table, new long[] {window}, new long[] {sinks});
  }

  private static Op.Attention attention(Fixture f, int layer, int heads, boolean causal, float scale, Tensor q, Tensor qSink,
      Op.Ragged ragged, Tensor out) {
    return new Op.Attention(f.pages, layer, heads, causal, scale, q, qSink, ragged, out);
  }

  @ParameterizedTest
  @MethodSource("all")
  void gateGatherAndCombine(BackendOptions options) {
    run(options, f -> {
      f.missing(() -> f.b.gate(new Op.Gate(null, f.x, f.x, f.y)), "activation");
      f.missing(() -> f.b.gate(new Op.Gate(Activation.SILU, null, f.x, f.y)), "gate: gate");
      f.missing(() -> f.b.gate(new Op.Gate(Activation.SILU, f.x, null, f.y)), "gate: up");
      f.missing(() -> f.b.gate(new Op.Gate(Activation.SILU, f.x, f.x, null)), "gate: y");
      f.illegal(() -> f.b.gate(new Op.Gate(Activation.SILU, f.x, f.tall, f.y)), "up is [4, 8]");
      f.illegal(() -> f.b.gate(new Op.Gate(Activation.SILU, f.x, f.x, f.narrow)), "y is [3, 7]");
      f.illegal(() -> f.b.gate(new Op.Gate(Activation.SILU, f.wide.columns(0, 8), f.x, f.wide.columns(3, 8))), "overlap");

      int[] index = {2, 0, 2};
      f.b.gather(new Op.Gather(f.x, index, f.y));
      f.missing(() -> f.b.gather(new Op.Gather(null, index, f.y)), "gather: x");
      f.missing(() -> f.b.gather(new Op.Gather(f.x, null, f.y)), "index");
      f.missing(() -> f.b.gather(new Op.Gather(f.x, index, null)), "gather: y");
      f.illegal(() -> f.b.gather(new Op.Gather(f.x, new int[] {0, 3, 0}, f.y)), "index[1] is 3", "0 to 2");
      f.illegal(() -> f.b.gather(new Op.Gather(f.x, index, f.tall)), "y is [4, 8]");
      f.illegal(() -> f.b.gather(new Op.Gather(f.x, index, f.x)), "overlap");

      int[] terms = {0, 1, 2, 3, 3, 0};
      float[] weights = new float[6];
      f.b.combine(new Op.Combine(f.tall, 2, terms, weights, f.y, f.y));
      f.missing(() -> f.b.combine(new Op.Combine(null, 2, terms, weights, null, f.y)), "combine: x");
      f.missing(() -> f.b.combine(new Op.Combine(f.tall, 2, null, weights, null, f.y)), "index");
      f.missing(() -> f.b.combine(new Op.Combine(f.tall, 2, terms, null, null, f.y)), "weight");
      f.missing(() -> f.b.combine(new Op.Combine(f.tall, 2, terms, weights, null, null)), "combine: y");
      f.illegal(() -> f.b.combine(new Op.Combine(f.tall, -1, NO_INTS, new float[0], null, f.y)), "-1 terms");
      f.illegal(() -> f.b.combine(new Op.Combine(f.tall, 3, terms, weights, null, f.y)), "index has 6", "9");
      f.illegal(() -> f.b.combine(new Op.Combine(f.tall, 2, terms, new float[5], null, f.y)), "weight has 5");
      f.illegal(() -> f.b.combine(new Op.Combine(f.x, 2, terms, weights, null, f.y)), "index[3] is 3");
      f.illegal(() -> f.b.combine(new Op.Combine(f.tall, 2, terms, weights, f.tall, f.y)), "residual is [4, 8]");
      f.illegal(() -> f.b.combine(new Op.Combine(f.tall, 2, terms, weights, null, f.narrow)), "y is [3, 7]");
      f.illegal(() -> f.b.combine(new Op.Combine(f.tall, 2, terms, weights, null, f.tall.rows(0, 3))), "overlap");
    });
  }

  @ParameterizedTest
  @MethodSource("all")
  void routeAndSample(BackendOptions options) {
    run(options, f -> {
      int[] expert = new int[6];
      float[] weight = new float[6];
      f.b.route(new Op.Route(f.x, 2, true, expert, weight));
      f.missing(() -> f.b.route(new Op.Route(null, 2, true, expert, weight)), "logits");
      f.missing(() -> f.b.route(new Op.Route(f.x, 2, true, null, weight)), "expert");
      f.missing(() -> f.b.route(new Op.Route(f.x, 2, true, expert, null)), "weight");
      f.illegal(() -> f.b.route(new Op.Route(f.x, 0, true, NO_INTS, new float[0])), "topK 0");
      f.illegal(() -> f.b.route(new Op.Route(f.x, 9, true, new int[27], new float[27])), "topK 9", "1 to 8");
      f.illegal(() -> f.b.route(new Op.Route(f.x, 2, true, new int[5], weight)), "expert has 5");
      f.illegal(() -> f.b.route(new Op.Route(f.x, 2, true, expert, new float[7])), "weight has 7");

      f.b.topLogProbabilities(new Op.TopLogProbabilities(f.x, 2, expert, weight));
      f.missing(() -> f.b.topLogProbabilities(new Op.TopLogProbabilities(null, 2, expert, weight)), "logits");
      f.missing(() -> f.b.topLogProbabilities(new Op.TopLogProbabilities(f.x, 2, null, weight)), "token");
      f.missing(() -> f.b.topLogProbabilities(new Op.TopLogProbabilities(f.x, 2, expert, null)), "logProbability");
      f.illegal(() -> f.b.topLogProbabilities(new Op.TopLogProbabilities(f.x, 9, new int[27], new float[27])), "topK 9");
      f.illegal(() -> f.b.topLogProbabilities(new Op.TopLogProbabilities(f.x, 2, new int[5], weight)), "token has 5");

      SampleRow greedy = SampleRow.greedy();
      SampleRow[] rows = {greedy, greedy, greedy};
      int[] token = new int[3];
      f.b.sample(new Op.Sample(f.x, rows, token, new float[3]));
      f.missing(() -> f.b.sample(new Op.Sample(null, rows, token, null)), "logits");
      f.missing(() -> f.b.sample(new Op.Sample(f.x, null, token, null)), "rows");
      f.missing(() -> f.b.sample(new Op.Sample(f.x, new SampleRow[3], token, null)), "row");
      f.missing(() -> f.b.sample(new Op.Sample(f.x, rows, null, null)), "token");
      f.illegal(() -> f.b.sample(new Op.Sample(f.x, new SampleRow[] {greedy}, token, null)), "rows has 1");
      f.illegal(() -> f.b.sample(new Op.Sample(f.x, rows, new int[4], null)), "token has 4");
      f.illegal(() -> f.b.sample(new Op.Sample(f.x, rows, token, new float[2])), "logProbability has 2");
      float nan = Float.NaN;
      float inf = Float.POSITIVE_INFINITY;
      for (float bad : new float[] {-1, nan, inf}) {
        badRow(f, new SampleRow(bad, 0, 1, 0, 1, 0, 0, NO_INTS), "temperature of row 1 is " + bad);
      }
      badRow(f, new SampleRow(1, -1, 1, 0, 1, 0, 0, NO_INTS), "topK of row 1 is -1");
      for (float bad : new float[] {0, -0.5f, 1.01f, nan, inf}) {
        badRow(f, new SampleRow(1, 0, bad, 0, 1, 0, 0, NO_INTS), "topP of row 1 is " + bad);
      }
      for (float bad : new float[] {-0.1f, 1, nan}) {
        badRow(f, new SampleRow(1, 0, 1, bad, 1, 0, 0, NO_INTS), "minP of row 1 is " + bad);
      }
      for (float bad : new float[] {0, -1, nan, inf}) {
        badRow(f, new SampleRow(1, 0, 1, 0, bad, 0, 0, NO_INTS), "repetitionPenalty of row 1 is " + bad);
      }
      badRow(f, new SampleRow(1, 0, 1, 0, 1, 0, 0, new int[] {8}), "seen[0] is 8");
      f.missing(() -> f.b.sample(new Op.Sample(f.x, new SampleRow[] {greedy, greedy, new SampleRow(1, 0, 1, 0, 1, 0, 0, null)}, token,
          null)), "seen");
    });
  }

  private static void badRow(Fixture f, SampleRow row, String words) {
    f.illegal(() -> f.b.sample(
        new Op.Sample(f.x, new SampleRow[] {SampleRow.greedy(), row, SampleRow.greedy()}, new int[3], null)), words);
  }

  @ParameterizedTest
  @MethodSource("all")
  void memory(BackendOptions options) {
    run(options, f -> {
      f.missing(() -> f.b.tensor(null, 1, 1), "tag");
      f.illegal(() -> f.b.tensor(MemoryTag.KV, -1, 1), "[-1, 1]");
      f.illegal(() -> f.b.tensor(MemoryTag.KV, 1, 0), "[1, 0]");
      f.missing(() -> f.b.weight(1, 1, null), "dtype");
      f.illegal(() -> f.b.weight(0, 1, DType.F32), "[0, 1]");
      f.illegal(() -> f.b.weight(1, -1, DType.F32), "[1, -1]");
      f.missing(() -> f.b.kvPages(null), "spec");
      f.missing(() -> f.b.kvPages(new KvPages.Spec(1, 1, 1, 4, null)), "dtype");
      f.illegal(() -> f.b.kvPages(new KvPages.Spec(0, 1, 1, 4, DType.F32)), "0 pages");
      f.illegal(() -> f.b.kvPages(new KvPages.Spec(1, 0, 1, 4, DType.F32)), "0 layers");
      f.illegal(() -> f.b.kvPages(new KvPages.Spec(1, 1, -1, 4, DType.F32)), "-1 kv heads");
      f.illegal(() -> f.b.kvPages(new KvPages.Spec(1, 1, 1, 513, DType.F32)), "513", "1 to 512");
      int most = Integer.MAX_VALUE;
      f.illegal(() -> f.b.kvBytes(new KvPages.Spec(most, most, most, 512, DType.F32)), "64 bits");

      ByteBuffer source = ByteBuffer.allocate(16);
      f.missing(() -> f.weight.pack(null), "part");
      f.missing(() -> f.weight.pack(new PackedWeight.Part(null, DType.F32, false, 0, 1, 0, 4)), "source");
      f.missing(() -> f.weight.pack(new PackedWeight.Part(source, null, false, 0, 1, 0, 4)), "dtype");
      f.illegal(() -> f.weight.pack(new PackedWeight.Part(source, DType.F32, false, 0, 1, 0, 5)), "16 bytes", "20");
      f.illegal(() -> f.weight.pack(new PackedWeight.Part(source, DType.F32, false, 8, 1, 0, 4)), "rows [8");
      f.illegal(() -> f.weight.pack(new PackedWeight.Part(source, DType.F32, false, -1, 1, 0, 4)), "rows [-1");
      f.illegal(() -> f.weight.pack(new PackedWeight.Part(source, DType.F32, false, 0, 1, 5, 4)), "columns [5");
      f.illegal(() -> f.weight.pack(new PackedWeight.Part(source, DType.F32, false, 0, 1, 0, most)), "columns");
    });
  }

  @ParameterizedTest
  @MethodSource("all")
  void viewsAndCopies(BackendOptions options) {
    try (Fixture f = new Fixture(options)) {
      for (int[] part : new int[][] {{-1, 1, 0, 1}, {0, 4, 0, 1}, {3, 1, 0, 1}, {0, 1, -1, 1}, {0, 1, 0, 9}, {0, 1, 8, 1}, {0, -1, 0, 1},
          {1, Integer.MAX_VALUE, 0, 1}, {0, 1, 1, Integer.MAX_VALUE}}) {
        assertThatThrownBy(() -> f.x.view(part[0], part[1], part[2], part[3])).isInstanceOf(IndexOutOfBoundsException.class)
            .hasMessageContaining("[3, 8]");
      }
      assertThatThrownBy(() -> f.x.copyTo(new float[23], 0)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> f.x.copyTo(new float[24], 1)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> f.x.copyFrom(new float[24], -1)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> f.x.copyFrom(new float[30], Integer.MAX_VALUE)).isInstanceOf(IndexOutOfBoundsException.class);
      float[] values = new TestInputs("copies").floats(26);
      f.x.copyFrom(values, 1);
      float[] back = new float[9];
      f.x.view(1, 2, 3, 4).copyTo(back, 1);
      for (int r = 0; r < 2; r++) {
        for (int c = 0; c < 4; c++) {
          assertThat(back[1 + r * 4 + c]).isEqualTo(values[1 + (r + 1) * 8 + c + 3]);
        }
      }
      f.x.view(1, 2, 3, 4).view(1, 1, 1, 2).copyFrom(new float[] {5, 6}, 0);
      assertThat(f.x.toArray()[2 * 8 + 4]).isEqualTo(5);
      assertThat(f.x.toArray()[2 * 8 + 5]).isEqualTo(6);
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void refusesWhatBelongsToAnotherBackend(BackendOptions options) {
    try (Fixture f = new Fixture(options); Fixture other = new Fixture(options);
        Fixture reference = new Fixture(TestBackends.reference())) {
      for (Fixture stranger : List.of(other, reference)) {
        assertThatThrownBy(() -> f.b.gate(new Op.Gate(Activation.NONE, f.x, stranger.x, f.y)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("tensor of another backend");
        assertThatThrownBy(() -> f.b.embed(new Op.Embed(stranger.vocabulary, new int[3], false, f.y)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("weight of another backend");
        assertThatThrownBy(() -> f.b.kvWrite(new Op.KvWrite(stranger.pages, 0, new long[3], f.x, f.x)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("pages of another backend");
      }
    }
  }
}
