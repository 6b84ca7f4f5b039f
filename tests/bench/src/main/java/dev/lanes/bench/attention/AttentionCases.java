package dev.lanes.bench.attention;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.Op;
import dev.lanes.backend.Tensor;
import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.ceiling.Machine;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.Ours;
import dev.lanes.bench.peer.LibTorch;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Causal prefill of a prompt, in GFLOP/s with the visible half of the square counted, and decoding one token over a cache, in GB/s of
 * keys and values. Ours reads K and V from pages in random order; libtorch gets them as whole tensors. The cache of a decode is cold:
 * turns rotate among more layers than the caches hold.
 */
public final class AttentionCases {
  private static final int HEADS = 32;
  private static final int DECODE_KV_HEADS = 8;
  private static final int QUICK_TOKENS = 1024;
  private static final DType[] CACHE_TYPES = {DType.F32, DType.BF16, DType.S8};

  /**
   * Queries [queries, heads * headDim] over the keys of a sequence; with one query a decode step. bfloat16 caches are multiplied in
   * bfloat16, int8 ones in integers.
   */
  private record Shape(int kvHeads, int headDim, int queries, int keys, DType dtype) {
    Compute compute() {
      return switch (dtype) {
        case BF16 -> Compute.BF16;
        case S8 -> Compute.INT8;
        default -> Compute.EXACT;
      };
    }

    boolean decode() {
      return queries == 1;
    }

    double kvBytes() {
      int scale = dtype == DType.S8 ? Float.BYTES : 0;
      return 2.0 * keys * kvHeads * (headDim * dtype.bytes() + scale);
    }

    int layers() {
      return decode() ? Machine.coldCopies((long) kvBytes()) : 1;
    }

    /** GB of keys and values for a decode, else GFLOP of the two products over the lower triangle. */
    double work() {
      return decode() ? 1e-9 * kvBytes() : 2e-9 * HEADS * headDim * queries * (double) keys;
    }

    String name(int threads) {
      String type = dtype.name().toLowerCase(Locale.ROOT);
      return decode()
          ? String.format(Locale.ROOT, "decode.%s.d%d.keys%d.t%d", type, headDim, keys, threads)
          : String.format(Locale.ROOT, "prefill.%s.d%d.n%d.t%d", type, headDim, keys, threads);
    }
  }

  private AttentionCases() {}

  /**
   * @param threads 1 and the machine's number, or only 1
   */
  public static List<BenchCase> all(int[] threads) {
    List<BenchCase> cases = new ArrayList<>();
    int most = threads[threads.length - 1];
    for (int headDim : new int[] {64, 128}) {
      for (int tokens : new int[] {512, 1024, 2048, 4096, 8192}) {
        for (DType dtype : CACHE_TYPES) {
          add(cases, prefill(headDim, tokens, dtype), most, tokens <= QUICK_TOKENS);
        }
      }
    }
    for (int keys : new int[] {512, 2048, 4096, 8192, 32768}) {
      for (DType dtype : CACHE_TYPES) {
        add(cases, decode(128, keys, dtype), most, keys == 4096);
      }
    }
    for (DType dtype : CACHE_TYPES) {
      add(cases, decode(64, 4096, dtype), most, dtype == DType.F32);
    }
    if (most > 1) {
      add(cases, prefill(128, 2048, DType.F32), 1, false);
      add(cases, decode(128, 4096, DType.F32), 1, false);
    }
    return cases;
  }

  private static Shape prefill(int headDim, int tokens, DType dtype) {
    return new Shape(HEADS, headDim, tokens, tokens, dtype);
  }

  private static Shape decode(int headDim, int keys, DType dtype) {
    return new Shape(DECODE_KV_HEADS, headDim, 1, keys, dtype);
  }

  private static void add(List<BenchCase> cases, Shape shape, int threads, boolean quick) {
    // This libtorch is built without a fast bfloat16 product: its float32 attention is the faster peer of bfloat16 caches too.
    // Both sides of a case count the same work, so that the ratio is one of times.
    Supplier<Contender> peer =
        () ->
            new LibTorch(
                new LibTorch.Attention(
                    HEADS, shape.kvHeads(), shape.headDim(), shape.queries(), shape.keys(), !shape.decode(), shape.layers()),
                shape.work(),
                threads);
    Supplier<Contender> ceiling =
        shape.decode()
            ? () -> Ceilings.read(threads)
            // Pairs of 16-bit integers and pairs of bfloat16 are multiplied at the same rate.
            : shape.dtype() == DType.F32 ? () -> Ceilings.fma(threads) : () -> Ceilings.bf16Dot(threads);
    Supplier<Contender> ours = () -> Ours.of(shape.work(), threads, side -> prepare(side, shape));
    cases.add(new BenchCase(shape.name(threads), shape.decode() ? "GB/s" : "GFLOP/s", quick, ours, peer, ceiling));
  }

  private static Runnable prepare(Ours ours, Shape shape) {
    int pages = (shape.keys() + KvPages.PAGE_TOKENS - 1) / KvPages.PAGE_TOKENS;
    int[] table = shuffled(pages);
    KvPages pool = ours.pages(new KvPages.Spec(pages, shape.layers(), shape.kvHeads(), shape.headDim(), shape.dtype()));
    long[] slots = new long[shape.keys()];
    for (int i = 0; i < slots.length; i++) {
      slots[i] = (long) table[i / KvPages.PAGE_TOKENS] * KvPages.PAGE_TOKENS + i % KvPages.PAGE_TOKENS;
    }
    Tensor k = ours.tensor(shape.keys(), shape.kvHeads() * shape.headDim());
    Tensor v = ours.tensor(shape.keys(), shape.kvHeads() * shape.headDim());
    Tensor q = ours.tensor(shape.queries(), HEADS * shape.headDim());
    Tensor out = ours.tensor(shape.queries(), HEADS * shape.headDim());
    Op.Ragged ragged =
        new Op.Ragged(new long[] {0, shape.queries()}, new long[] {shape.keys()}, new int[][] {table}, new long[1], new long[1]);
    float scale = (float) (1 / Math.sqrt(shape.headDim()));
    Op.Attention[] layers = new Op.Attention[shape.layers()];
    for (int i = 0; i < layers.length; i++) {
      ours.backend().kvWrite(new Op.KvWrite(pool, i, slots, k, v));
      layers[i] = new Op.Attention(pool, i, HEADS, true, scale, q, null, ragged, shape.compute(), out);
    }
    int[] next = {0};
    return () -> ours.backend().attention(layers[next[0]++ % layers.length]);
  }

  private static int[] shuffled(int count) {
    List<Integer> order = new ArrayList<>(IntStream.range(0, count).boxed().toList());
    Collections.shuffle(order, new Random(1));
    return order.stream().mapToInt(Integer::intValue).toArray();
  }
}
