package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Tensors of float32 and bfloat16: copies, views, memory, and which ops take them. */
@ExtendWith(MemoryBaseline.class)
class TensorTest {
  static List<BackendOptions> all() {
    return TestBackends.all();
  }

  /** Numbers at and beside the middle between two of bfloat16, and those that have no neighbours. */
  private static final float[] EDGES = {0f, -0f, 1f, -1f, 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 0x1.00fffep0f, Float.MIN_VALUE, 0x1p-133f,
      0x1.8p-133f, 0x1p-134f, Float.MAX_VALUE, -Float.MAX_VALUE, 0x1.fep127f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN,
      65504f, 3.14159f};

  private static float[] rounded(float[] values, DType dtype) {
    float[] result = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = FloatFormats.round(values[i], dtype);
    }
    return result;
  }

  @ParameterizedTest
  @MethodSource("all")
  void copiesRound(BackendOptions options) {
    assertThat(rounded(new float[] {0x1.01p0f, 0x1.03p0f, 0x1p-134f, Float.MAX_VALUE}, DType.BF16))
        .as("half to even").containsExactly(1f, 0x1.04p0f, 0f, Float.POSITIVE_INFINITY);
    try (Backend b = Backends.open(options)) {
      for (DType dtype : List.of(DType.F32, DType.BF16)) {
        try (Tensor x = b.tensor(MemoryTag.OTHER, 4, 5, dtype)) {
          assertThat(x.dtype()).isEqualTo(dtype);
          assertThat(x.toArray()).containsOnly(0);
          x.copyFrom(EDGES, 0);
          assertThat(x.toArray()).containsExactly(rounded(EDGES, dtype));
          float[] shifted = new float[EDGES.length + 2];
          x.copyTo(shifted, 1);
          assertThat(Arrays.copyOfRange(shifted, 1, EDGES.length + 1)).containsExactly(rounded(EDGES, dtype));
          assertThat(shifted[0]).isZero();
          assertThat(shifted[EDGES.length + 1]).isZero();
        }
      }
      try (Tensor x = b.tensor(MemoryTag.OTHER, 1, 1)) {
        assertThat(x.dtype()).isEqualTo(DType.F32);
      }
    }
  }

  /** Every part of a small tensor, and one whose parts go to a device in several pieces. */
  @ParameterizedTest
  @MethodSource("all")
  void viewsKeepTheTypeAndTouchNothingElse(BackendOptions options) {
    TestInputs inputs = new TestInputs("views");
    try (Backend b = Backends.open(options)) {
      for (DType dtype : List.of(DType.F32, DType.BF16)) {
        for (int rows = 0; rows <= 3; rows++) {
          for (int columns = 1; columns <= 4; columns++) {
            writeAndRead(b, dtype, 4, 5, new int[] {4 - rows, rows, 5 - columns, columns}, inputs);
          }
        }
        writeAndRead(b, dtype, 700, 1000, new int[] {1, 698, 3, 901}, inputs);
        writeAndRead(b, dtype, 2, 600_000, new int[] {0, 2, 1, 599_999}, inputs);
      }
    }
  }

  private static void writeAndRead(Backend b, DType dtype, int rows, int columns, int[] part, TestInputs inputs) {
    float[] before = inputs.floats(rows * columns);
    float[] values = inputs.floats(part[1] * part[3]);
    try (Tensor whole = b.tensor(MemoryTag.OTHER, rows, columns, dtype)) {
      whole.copyFrom(before, 0);
      Tensor view = whole.rows(part[0], part[1]).columns(part[2], part[3]);
      assertThat(view.dtype()).isEqualTo(dtype);
      view.copyFrom(values, 0);
      assertThat(view.toArray()).isEqualTo(rounded(values, dtype));
      float[] expected = before.clone();
      for (int r = 0; r < part[1]; r++) {
        System.arraycopy(values, r * part[3], expected, (part[0] + r) * columns + part[2], part[3]);
      }
      assertThat(whole.toArray()).as(TestInputs.context(dtype + Arrays.toString(part))).isEqualTo(rounded(expected, dtype));
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void bfloat16TakesHalfTheMemory(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      long before = b.memory().live().get(MemoryTag.SCRATCH);
      try (Tensor x = b.tensor(MemoryTag.SCRATCH, 64, 4096, DType.BF16)) {
        assertThat(x.stride()).isEqualTo(4096);
        assertThat(b.memory().live().get(MemoryTag.SCRATCH) - before).isEqualTo(64 * 4096 * 2);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void memoryIsCountedByTag(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      MemoryStats before = b.memory();
      b.resetMemoryPeak();
      try (Tensor scratch = b.tensor(MemoryTag.SCRATCH, 100, 100);
          PackedWeight weight = b.weight(64, 64, DType.BF16);
          KvPages pages = b.kvPages(new KvPages.Spec(2, 3, 2, 16, DType.F32))) {
        MemoryStats during = b.memory();
        assertThat(grown(before, during, MemoryTag.SCRATCH)).isGreaterThanOrEqualTo(40_000);
        assertThat(grown(before, during, MemoryTag.WEIGHTS)).isEqualTo(weight.bytes()).isEqualTo(b.weightBytes(64, 64, DType.BF16));
        assertThat(grown(before, during, MemoryTag.KV)).isEqualTo(pages.bytes()).isEqualTo(b.kvBytes(pages.spec()));
        assertThat(during.liveTotal()).isEqualTo(during.live().values().stream().mapToLong(v -> v).sum());
        assertThat(scratch.rows()).isEqualTo(100);
      }
      MemoryStats after = b.memory();
      assertThat(after.live()).isEqualTo(before.live());
      assertThat(after.peakTotal()).isGreaterThanOrEqualTo(before.liveTotal() + 40_000);
      b.resetMemoryPeak();
      assertThat(b.memory().peakTotal()).isEqualTo(after.liveTotal());
    }
  }

  private static long grown(MemoryStats before, MemoryStats after, MemoryTag tag) {
    return after.live().get(tag) - before.live().get(tag);
  }

  @ParameterizedTest
  @MethodSource("all")
  void otherTypesAreRefused(BackendOptions options) {
    try (Backend b = Backends.open(options)) {
      for (DType dtype : List.of(DType.F16, DType.S8)) {
        assertThatThrownBy(() -> b.tensor(MemoryTag.OTHER, 2, 3, dtype)).isExactlyInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("tensor: element type " + dtype).hasMessageContaining("F32 or BF16");
      }
      assertThatThrownBy(() -> b.tensor(MemoryTag.OTHER, 2, 3, null)).isExactlyInstanceOf(NullPointerException.class)
          .hasMessageContaining("dtype");
      Tensor closed = b.tensor(MemoryTag.OTHER, 2, 3, DType.BF16);
      closed.close();
      assertThatThrownBy(closed::toArray).isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("tensor [2, 3] of BF16 is closed");
    }
  }

  /** Arguments that may be bfloat16, as {@code op.argument}; every other tensor of every op must be float32. */
  private static final Set<String> MAY_BE_BF16 = Set.of("linear.x", "linear.y", "norm.y", "gate.y", "attention.out");

  @ParameterizedTest
  @MethodSource("all")
  void opsRefuseBfloat16WhereTheyDoNotTakeIt(BackendOptions options) throws ReflectiveOperationException {
    try (Backend b = Backends.open(options)) {
      int refused = 0;
      for (Op op : everyOp(b)) {
        run(b, op);
        String name = name(op);
        for (RecordComponent component : op.getClass().getRecordComponents()) {
          if (component.getType() != Tensor.class || MAY_BE_BF16.contains(name + "." + component.getName())) {
            continue;
          }
          Tensor tensor = (Tensor) component.getAccessor().invoke(op);
          assertThat(tensor).as("%s.%s", name, component.getName()).isNotNull();
          try (Tensor narrow = b.tensor(MemoryTag.OTHER, tensor.rows(), tensor.columns(), DType.BF16)) {
            Op wrong = with(op, component, narrow);
            Throwable thrown = catchThrowable(() -> run(b, wrong));
            assertThat(thrown).as("%s.%s", name, component.getName()).isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(name + ": " + component.getName() + " is of BF16: expected F32");
            refused++;
          }
        }
      }
      assertThat(refused).isGreaterThan(20);
    }
  }

  /** One of each op that has every tensor it can have. */
  private static List<Op> everyOp(Backend b) {
    PackedWeight weight = b.weight(8, 8, DType.F32);
    KvPages pages = b.kvPages(new KvPages.Spec(1, 1, 1, 4, DType.F32));
    Tensor[] x = Stream.generate(() -> b.tensor(MemoryTag.OTHER, 3, 8)).limit(4).toArray(Tensor[]::new);
    Tensor[] one = Stream.generate(() -> b.tensor(MemoryTag.OTHER, 1, 8)).limit(2).toArray(Tensor[]::new);
    Tensor[] table = Stream.generate(() -> b.tensor(MemoryTag.OTHER, 3, 2)).limit(2).toArray(Tensor[]::new);
    Tensor[] kv = Stream.generate(() -> b.tensor(MemoryTag.OTHER, 3, 4)).limit(2).toArray(Tensor[]::new);
    int[] three = {0, 1, 2};
    Op.Ragged ragged = new Op.Ragged(new long[] {0, 3}, new long[] {3}, new int[][] {{0}}, new long[1], new long[1]);
    SampleRow[] rows = {SampleRow.greedy(), SampleRow.greedy(), SampleRow.greedy()};
    return List.of(
        new Op.Embed(weight, three, false, x[0]),
        new Op.Linear(x[0], weight, one[0], x[1], Activation.NONE, Compute.EXACT, x[2]),
        new Op.Norm(NormKind.LAYER, 1e-5f, x[0], x[1], one[0], one[1], x[2], x[3]),
        new Op.RopeTable(new long[3], new double[2], 1, table[0], table[1]),
        new Op.Rope(RopePairing.HALF, 2, 4, table[0], table[1], x[0], x[1]),
        new Op.KvWrite(pages, 0, new long[] {0, 1, 2}, kv[0], kv[1]),
        new Op.Attention(pages, 0, 2, true, 1, x[0], x[1], ragged, Compute.EXACT, x[2]),
        new Op.Gate(Activation.SILU, x[0], x[1], x[2]),
        new Op.Route(x[0], 1, false, new int[3], new float[3]),
        new Op.Gather(x[0], three, x[1]),
        new Op.Combine(x[0], 1, three, new float[3], x[1], x[2]),
        new Op.Sample(x[0], rows, new int[3], null),
        new Op.TopLogProbabilities(x[0], 1, new int[3], new float[3]));
  }

  private static void run(Backend b, Op op) {
    if (op instanceof Op.Embed o) {
      b.embed(o);
    } else if (op instanceof Op.Linear o) {
      b.linear(o);
    } else if (op instanceof Op.Norm o) {
      b.norm(o);
    } else if (op instanceof Op.RopeTable o) {
      b.ropeTable(o);
    } else if (op instanceof Op.Rope o) {
      b.rope(o);
    } else if (op instanceof Op.KvWrite o) {
      b.kvWrite(o);
    } else if (op instanceof Op.Attention o) {
      b.attention(o);
    } else if (op instanceof Op.Gate o) {
      b.gate(o);
    } else if (op instanceof Op.Route o) {
      b.route(o);
    } else if (op instanceof Op.Gather o) {
      b.gather(o);
    } else if (op instanceof Op.Combine o) {
      b.combine(o);
    } else if (op instanceof Op.Sample o) {
      b.sample(o);
    } else if (op instanceof Op.TopLogProbabilities o) {
      b.topLogProbabilities(o);
    } else {
      throw new AssertionError("no method for " + op);
    }
  }

  /** As ops are called in messages: {@code ropeTable}. */
  private static String name(Op op) {
    String name = op.getClass().getSimpleName();
    return Character.toLowerCase(name.charAt(0)) + name.substring(1);
  }

  private static Op with(Op op, RecordComponent changed, Tensor value) throws ReflectiveOperationException {
    RecordComponent[] components = op.getClass().getRecordComponents();
    Object[] arguments = new Object[components.length];
    for (int i = 0; i < components.length; i++) {
      arguments[i] = components[i].getName().equals(changed.getName()) ? value : components[i].getAccessor().invoke(op);
    }
    return (Op) op.getClass().getDeclaredConstructor(Stream.of(components).map(RecordComponent::getType).toArray(Class<?>[]::new))
        .newInstance(arguments);
  }
}
