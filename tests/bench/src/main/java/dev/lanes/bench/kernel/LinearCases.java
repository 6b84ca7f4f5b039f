package dev.lanes.bench.kernel;

import dev.lanes.backend.Activation;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.Tensor;
import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.ceiling.Machine;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.Ours;
import dev.lanes.bench.peer.OneDnn;
import dev.lanes.bench.peer.OpenBlas;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/**
 * The linear op as GEMM, in GFLOP/s (int8: GOP/s), and for few rows (M < 16) in GB/s of weights. Both sides pack weights before the
 * first turn.
 * Up to {@value #COLD_ROWS} rows they are also cold: turns rotate among more of them than the caches hold, as a model's layers do.
 */
public final class LinearCases {
  private static final int COLD_ROWS = 16;

  private static final int[][] GEMM_SHAPES = {
    {16, 2048, 5632}, {128, 2048, 2048}, {512, 2048, 5632}, {512, 4096, 4096}, {1024, 1024, 1024},
  };
  private static final int[][] GEMV_SHAPES = {{1, 2048, 2048}, {1, 2048, 5632}};

  /** Rows of a decode batch; in GB/s of weights, as a step should cost no more than a row does. */
  private static final int[] BATCH_ROWS = {2, 4, 8};

  /** Types of weights and how they are multiplied. */
  private enum Kind {
    F32(DType.F32, Compute.EXACT),
    BF16(DType.BF16, Compute.BF16),
    BF16EXACT(DType.BF16, Compute.EXACT),
    F16(DType.F16, Compute.EXACT),
    S8(DType.S8, Compute.INT8),
    /** Of float rows, which the op quantizes. */
    S8FLOATS(DType.S8, Compute.INT8);

    final DType dtype;
    final Compute compute;

    Kind(DType dtype, Compute compute) {
      this.dtype = dtype;
      this.compute = compute;
    }
  }

  /** [m, k] x [n, k]^T. */
  private record Shape(int m, int k, int n, Kind kind) {
    long weightBytes() {
      return (long) k * n * kind.dtype.bytes();
    }

    int copies() {
      return m <= COLD_ROWS ? Machine.coldCopies(weightBytes()) : 1;
    }

    boolean readsMost() {
      return m < COLD_ROWS;
    }

    /** GB of weights for few rows, else GFLOP. */
    double work() {
      return readsMost() ? 1e-9 * weightBytes() : 2e-9 * m * k * n;
    }

    String name(int threads) {
      String type = kind.name().toLowerCase(Locale.ROOT);
      return m == 1
          ? String.format(Locale.ROOT, "gemv.%s.k%d.n%d.t%d", type, k, n, threads)
          : String.format(Locale.ROOT, "gemm.%s.m%d.k%d.n%d.t%d", type, m, k, n, threads);
    }

    String unit() {
      return readsMost() ? "GB/s" : kind.compute == Compute.INT8 ? "GOP/s" : "GFLOP/s";
    }
  }

  private LinearCases() {}

  /**
   * @param threads 1 and the machine's number, or only 1
   */
  public static List<BenchCase> all(int[] threads) {
    List<BenchCase> cases = new ArrayList<>();
    int most = threads[threads.length - 1];
    for (int count : threads) {
      boolean all = count == most;
      for (Kind kind : Kind.values()) {
        boolean plain = kind == Kind.F32 || kind == Kind.BF16 || kind == Kind.S8;
        for (int[] shape : GEMM_SHAPES) {
          boolean quick = all && shape[2] != 4096 && (plain || shape[0] == 512);
          add(cases, new Shape(shape[0], shape[1], shape[2], kind), count, quick);
        }
        for (int[] shape : GEMV_SHAPES) {
          add(cases, new Shape(shape[0], shape[1], shape[2], kind), count, all && shape[2] == 5632);
        }
        for (int rows : BATCH_ROWS) {
          add(cases, new Shape(rows, 2048, 5632, kind), count, all && rows == 8);
        }
      }
      for (Kind kind : new Kind[] {Kind.F32, Kind.BF16EXACT, Kind.F16}) {
        addAvx2(cases, new Shape(512, 2048, 5632, kind), count);
      }
    }
    for (int[] shape : GEMM_SHAPES) {
      if (shape[0] > COLD_ROWS) {
        addOpenBlas(cases, new Shape(shape[0], shape[1], shape[2], Kind.F32), most, shape[0] == 128);
      }
    }
    addOpenBlas(cases, new Shape(1, 2048, 5632, Kind.F32), most, false);
    return cases;
  }

  private static void add(List<BenchCase> cases, Shape shape, int threads, boolean quick) {
    cases.add(
        new BenchCase(
            shape.name(threads), shape.unit(), quick, ours(shape, threads), oneDnn(shape, threads), ceiling(shape, threads)));
  }

  private static void addOpenBlas(List<BenchCase> cases, Shape shape, int threads, boolean quick) {
    cases.add(
        new BenchCase(
            shape.name(threads) + ".openblas",
            shape.unit(),
            quick,
            ours(shape, threads),
            () -> new OpenBlas(shape.m(), shape.k(), shape.n(), shape.copies(), shape.work(), threads),
            ceiling(shape, threads)));
  }

  /** Ours alone: no peer can be told to leave AVX-512 out for one case. */
  private static void addAvx2(List<BenchCase> cases, Shape shape, int threads) {
    BackendOptions options = Ours.options(threads).withIsa(BackendOptions.Isa.AVX2);
    cases.add(
        new BenchCase(
            shape.name(threads) + ".avx2", shape.unit(), false, ours(shape, options), null, () -> Ceilings.fma256(threads)));
  }

  private static Supplier<Contender> ours(Shape shape, int threads) {
    return ours(shape, Ours.options(threads));
  }

  private static Supplier<Contender> ours(Shape shape, BackendOptions options) {
    return () ->
        Ours.of(
            shape.work(),
            options,
            ours -> {
              boolean quantized = shape.kind() == Kind.S8;
              Tensor x = quantized ? null : ours.tensor(shape.m(), shape.k());
              QuantizedTensor rows = quantized ? ours.quantizedTensor(shape.m(), shape.k()) : null;
              Tensor y = ours.tensor(shape.m(), shape.n());
              PackedWeight[] weights = ours.weights(shape.n(), shape.k(), shape.kind().dtype, shape.copies());
              Op.Linear[] ops = new Op.Linear[weights.length];
              for (int i = 0; i < ops.length; i++) {
                ops[i] = new Op.Linear(x, rows, 0, weights[i], null, null, Activation.NONE, shape.kind().compute, y);
              }
              int[] next = {0};
              return () -> ours.backend().linear(ops[next[0]++ % ops.length]);
            });
  }

  /**
   * oneDNN multiplies no float16 without hardware for it, and no bfloat16 exactly. Its measure for such weights is what does the same arithmetic
   * (float32) where arithmetic is the limit, and what reads as many bytes (bfloat16) where memory is.
   */
  private static Supplier<Contender> oneDnn(Shape shape, int threads) {
    OneDnn.Type type =
        switch (shape.kind()) {
          case F32 -> OneDnn.Type.F32;
          case BF16 -> OneDnn.Type.BF16;
          case S8, S8FLOATS -> OneDnn.Type.S8;
          case BF16EXACT, F16 -> shape.readsMost() ? OneDnn.Type.BF16 : OneDnn.Type.F32;
        };
    return () -> OneDnn.gemm(new OneDnn.Gemm(shape.m(), shape.k(), shape.n(), type, shape.copies()), shape.work(), threads);
  }

  private static Supplier<Contender> ceiling(Shape shape, int threads) {
    if (shape.readsMost()) {
      return () -> Ceilings.read(threads);
    }
    return switch (shape.kind()) {
      case BF16 -> () -> Ceilings.bf16Dot(threads);
      case S8, S8FLOATS -> () -> Ceilings.int8Dot(threads);
      case F32, BF16EXACT, F16 -> () -> Ceilings.fma(threads);
    };
  }
}
