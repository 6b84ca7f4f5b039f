package dev.lanes.cli;

import dev.lanes.backend.Activation;
import dev.lanes.backend.Backend;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.NormKind;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/** Times single kernels on random data. */
final class KernelBench {
  private static final int[][] LINEAR_SHAPES = {{1, 2048, 2048}, {16, 2048, 5632}, {128, 2048, 2048}, {512, 2048, 5632}};
  /** Rotated among so that a single row's weights come from memory, as they do in a model. */
  private static final long COLD_BYTES = 160L << 20;
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;

  private final Backend backend;
  private final double seconds;
  private final Pattern only;
  private final Consumer<Measurement> results;
  private final SplittableRandom random = new SplittableRandom(1);

  KernelBench(Backend backend, double seconds, Pattern only, Consumer<Measurement> results) {
    this.backend = backend;
    this.seconds = seconds;
    this.only = only;
    this.results = results;
  }

  void run() {
    for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
      for (int[] shape : LINEAR_SHAPES) {
        linear(shape[0], shape[1], shape[2], dtype, Compute.EXACT);
        if (dtype == DType.BF16) {
          linear(shape[0], shape[1], shape[2], dtype, Compute.BF16);
        }
      }
    }
    norm(NormKind.LAYER);
    norm(NormKind.RMS);
    for (int headDim : new int[] {64, 128}) {
      attention("prefill", 1024, 1024, headDim, DType.F32);
      attention("decode", 1, 4096, headDim, DType.F32);
      attention("decode", 1, 4096, headDim, DType.BF16);
      attention("decode", 1, 4096, headDim, DType.F16);
      attention("decode", 1, 4096, headDim, DType.S8);
    }
  }

  private void measure(String name, String unit, double amount, Runnable work) {
    results.accept(Measurement.of(name, unit, amount, seconds, work));
  }

  private void linear(int m, int k, int n, DType dtype, Compute compute) {
    String name = "linear " + dtype + (compute == Compute.BF16 ? " bf16-dot" : "") + " M=" + m + " K=" + k + " N=" + n;
    if (!only.matcher(name).find()) {
      return;
    }
    int copies = m == 1 ? (int) Math.max(1, COLD_BYTES / backend.weightBytes(n, k, dtype)) : 1;
    PackedWeight[] weights = new PackedWeight[copies];
    try (Tensor x = tensor(m, k); Tensor y = tensor(m, n)) {
      PackedWeight.Part all = new PackedWeight.Part(randomElements(n * k), DType.F32, false, 0, n, 0, k);
      for (int i = 0; i < copies; i++) {
        weights[i] = backend.weight(n, k, dtype);
        weights[i].pack(all);
      }
      int[] next = {0};
      Runnable work = () -> {
        PackedWeight weight = weights[next[0]++ % copies];
        backend.linear(new Op.Linear(x, weight, null, null, Activation.NONE, compute, y));
      };
      if (m == 1) {
        measure(name, "GB/s", 1e-9 * n * k * dtype.bytes(), work);
      } else {
        measure(name, "GFLOP/s", 2e-9 * m * n * k, work);
      }
    } finally {
      for (PackedWeight weight : weights) {
        if (weight != null) {
          weight.close();
        }
      }
    }
  }

  private void norm(NormKind kind) {
    int size = 4096;
    String name = "norm " + kind + " " + size + "x" + size + " in place";
    if (!only.matcher(name).find()) {
      return;
    }
    try (Tensor x = tensor(size, size); Tensor weight = tensor(1, size); Tensor bias = tensor(1, size)) {
      Tensor offset = kind == NormKind.LAYER ? bias : null;
      measure(name, "GB/s", 8e-9 * size * size, () -> backend.norm(new Op.Norm(kind, 1e-5f, x, null, weight, offset, null, x)));
    }
  }

  private void attention(String what, int queries, int keys, int headDim, DType dtype) {
    String name = "attention " + what + " " + dtype + " " + HEADS + "/" + KV_HEADS + " heads of " + headDim + ", " + keys + " keys";
    if (!only.matcher(name).find()) {
      return;
    }
    int pages = (keys + KvPages.PAGE_TOKENS - 1) / KvPages.PAGE_TOKENS;
    try (KvPages pool = backend.kvPages(new KvPages.Spec(pages, 1, KV_HEADS, headDim, dtype));
        Tensor kv = tensor(keys, KV_HEADS * headDim);
        Tensor q = tensor(queries, HEADS * headDim);
        Tensor out = tensor(queries, HEADS * headDim)) {
      long[] slots = new long[keys];
      int[] table = new int[pages];
      for (int i = 0; i < keys; i++) {
        slots[i] = i;
      }
      for (int i = 0; i < pages; i++) {
        table[i] = i;
      }
      backend.kvWrite(new Op.KvWrite(pool, 0, slots, kv, kv));
      Op.Ragged ragged = new Op.Ragged(new long[] {0, queries}, new long[] {keys}, new int[][] {table}, new long[1], new long[1]);
      Op.Attention op = new Op.Attention(pool, 0, HEADS, true, (float) (1 / Math.sqrt(headDim)), q, null, ragged, out);
      if (queries == 1) {
        int scale = dtype == DType.S8 ? Float.BYTES : 0;
        measure(name, "GB/s", 2e-9 * keys * KV_HEADS * (headDim * dtype.bytes() + scale), () -> backend.attention(op));
      } else {
        measure(name, "GFLOP/s", 2e-9 * HEADS * headDim * queries * keys, () -> backend.attention(op));
      }
    }
  }

  private Tensor tensor(int rows, int columns) {
    Tensor tensor = backend.tensor(MemoryTag.SCRATCH, rows, columns);
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble(-1, 1);
    }
    tensor.copyFrom(values, 0);
    return tensor;
  }

  private ByteBuffer randomElements(int count) {
    ByteBuffer elements = ByteBuffer.allocateDirect(Math.multiplyExact(count, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      elements.putFloat((float) random.nextDouble(-1, 1));
    }
    return elements.flip();
  }
}
