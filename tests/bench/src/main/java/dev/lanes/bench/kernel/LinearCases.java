package dev.lanes.bench.kernel;

import dev.lanes.backend.Activation;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
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
 * The linear op as GEMM, in GFLOP/s, and as GEMV (M = 1), in GB/s of weights. Weights are packed before the first turn on both sides.
 * Up to {@value #COLD_ROWS} rows they are also cold: turns rotate among more of them than the caches hold, as a model's layers do.
 */
public final class LinearCases {
  private static final int COLD_ROWS = 16;

  private static final int[][] GEMM_SHAPES = {
    {16, 2048, 5632}, {128, 2048, 2048}, {512, 2048, 5632}, {512, 4096, 4096}, {1024, 1024, 1024},
  };
  private static final int[][] GEMV_SHAPES = {{1, 2048, 2048}, {1, 2048, 5632}};

  /** [m, k] x [n, k]^T with weights of a type. */
  private record Shape(int m, int k, int n, DType dtype) {
    long weightBytes() {
      return (long) k * n * dtype.bytes();
    }

    int copies() {
      return m <= COLD_ROWS ? Machine.coldCopies(weightBytes()) : 1;
    }

    /** GB of weights for a single row, else GFLOP. */
    double work() {
      return m == 1 ? 1e-9 * weightBytes() : 2e-9 * m * k * n;
    }

    String name(int threads) {
      String type = dtype.name().toLowerCase(Locale.ROOT);
      return m == 1
          ? String.format(Locale.ROOT, "gemv.%s.k%d.n%d.t%d", type, k, n, threads)
          : String.format(Locale.ROOT, "gemm.%s.m%d.k%d.n%d.t%d", type, m, k, n, threads);
    }

    String unit() {
      return m == 1 ? "GB/s" : "GFLOP/s";
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
      for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
        for (int[] shape : GEMM_SHAPES) {
          boolean quick = count == most && shape[2] != 4096;
          add(cases, new Shape(shape[0], shape[1], shape[2], dtype), count, quick);
        }
      }
      for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
        for (int[] shape : GEMV_SHAPES) {
          add(cases, new Shape(shape[0], shape[1], shape[2], dtype), count, count == most && shape[2] == 5632);
        }
      }
    }
    add(cases, new Shape(512, 2048, 5632, DType.F16), most, true);
    for (int[] shape : GEMM_SHAPES) {
      if (shape[0] > COLD_ROWS) {
        addOpenBlas(cases, new Shape(shape[0], shape[1], shape[2], DType.F32), most, shape[0] == 128);
      }
    }
    addOpenBlas(cases, new Shape(1, 2048, 5632, DType.F32), most, false);
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

  private static Supplier<Contender> ours(Shape shape, int threads) {
    return () ->
        Ours.of(
            shape.work(),
            threads,
            ours -> {
              Tensor x = ours.tensor(shape.m(), shape.k());
              Tensor y = ours.tensor(shape.m(), shape.n());
              PackedWeight[] weights = ours.weights(shape.n(), shape.k(), shape.dtype(), shape.copies());
              Compute compute = shape.dtype() == DType.BF16 ? Compute.BF16 : Compute.EXACT;
              Op.Linear[] ops = new Op.Linear[weights.length];
              for (int i = 0; i < ops.length; i++) {
                ops[i] = new Op.Linear(x, weights[i], null, null, Activation.NONE, compute, y);
              }
              int[] next = {0};
              return () -> ours.backend().linear(ops[next[0]++ % ops.length]);
            });
  }

  /**
   * oneDNN multiplies no float16 without hardware for it. Its measure for our float16 weights is what does the same arithmetic
   * (float32) where arithmetic is the limit, and what reads as many bytes (bfloat16) where memory is.
   */
  private static Supplier<Contender> oneDnn(Shape shape, int threads) {
    OneDnn.Type type =
        switch (shape.dtype()) {
          case F32 -> OneDnn.Type.F32;
          case BF16 -> OneDnn.Type.BF16;
          case F16 -> shape.m() == 1 ? OneDnn.Type.BF16 : OneDnn.Type.F32;
          case S8 -> throw new IllegalArgumentException("int8 has cases of its own");
        };
    return () -> OneDnn.gemm(new OneDnn.Gemm(shape.m(), shape.k(), shape.n(), type, shape.copies()), shape.work(), threads);
  }

  private static Supplier<Contender> ceiling(Shape shape, int threads) {
    if (shape.m() == 1) {
      return () -> Ceilings.read(threads);
    }
    return shape.dtype() == DType.BF16 ? () -> Ceilings.bf16Dot(threads) : () -> Ceilings.fma(threads);
  }
}
