package dev.lanes.bench.peer;

import dev.lanes.bench.harness.Contender;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * libtorch's scaled_dot_product_attention in float32 at its best setting: every way of stating the same attention is timed when the peer is
 * opened, and the fastest one takes part. Its matrix products inside are OpenBLAS calls from its own threads, so OpenBLAS must be held
 * to one thread (OPENBLAS_NUM_THREADS=1); with more it is several times slower.
 */
public final class LibTorch implements Contender {
  private static final int TRIALS = 3;
  private static final long SEED = 1;

  /**
   * Attention of queries [heads, queries, headDim] over keys and values [kvHeads, keys, headDim].
   *
   * @param causal for queries as many as keys; a single query sees all keys in either case
   * @param copies key and value tensors to rotate among
   */
  public record Attention(int heads, int kvHeads, int headDim, int queries, int keys, boolean causal, int copies) {}

  /** One way of stating the attention. The tensors are [1, heads, tokens, headDim], whatever lies in memory. */
  private record Setting(String name, Tensor query, List<Tensor> keys, List<Tensor> values, boolean causal, boolean enableGqa) {}

  private final Deque<Pointer> owned = new ArrayDeque<>();
  private final double work;
  private final int threads;
  private TensorOptional noMask;
  private DoubleOptional defaultScale;
  private Setting setting;
  private int next;

  /**
   * @param work what one attention counts, in the case's unit
   */
  public LibTorch(Attention attention, double work, int threads) {
    this.work = work;
    this.threads = threads;
    if (!"1".equals(System.getenv("OPENBLAS_NUM_THREADS"))) {
      throw new IllegalStateException("OPENBLAS_NUM_THREADS must be 1 for libtorch to run at its best; ci/bench.sh sets it");
    }
    try {
      prepare();
      torch.manual_seed(SEED);
      noMask = own(new TensorOptional());
      defaultScale = own(new DoubleOptional());
      setting = fastest(attention.queries() == 1 ? decodeSettings(attention) : prefillSettings(attention));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Tokens outermost in memory, as projections leave them, or heads outermost. */
  private List<Setting> prefillSettings(Attention a) {
    boolean gqa = a.heads() != a.kvHeads();
    List<Setting> settings = new ArrayList<>();
    settings.add(
        new Setting(
            "[heads, tokens, headDim]",
            random(a.heads(), a.queries(), a.headDim()),
            randoms(a.copies(), a.kvHeads(), a.keys(), a.headDim()),
            randoms(a.copies(), a.kvHeads(), a.keys(), a.headDim()),
            a.causal(),
            gqa));
    settings.add(
        new Setting(
            "[tokens, heads, headDim]",
            own(random(a.queries(), a.heads(), a.headDim()).transpose(1, 2)),
            transposed(randoms(a.copies(), a.keys(), a.kvHeads(), a.headDim())),
            transposed(randoms(a.copies(), a.keys(), a.kvHeads(), a.headDim())),
            a.causal(),
            gqa));
    return settings;
  }

  /** One query: a group's heads can also stand as rows of one query matrix over their common keys. */
  private List<Setting> decodeSettings(Attention a) {
    int group = a.heads() / a.kvHeads();
    List<Tensor> keys = randoms(a.copies(), a.kvHeads(), a.keys(), a.headDim());
    List<Tensor> values = randoms(a.copies(), a.kvHeads(), a.keys(), a.headDim());
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("enable_gqa", random(a.heads(), 1, a.headDim()), keys, values, false, group > 1));
    settings.add(new Setting("group as rows", random(a.kvHeads(), group, a.headDim()), keys, values, false, false));
    return settings;
  }

  private Setting fastest(List<Setting> settings) {
    Setting best = null;
    long bestNanos = Long.MAX_VALUE;
    for (Setting candidate : settings) {
      setting = candidate;
      run();
      for (int trial = 0; trial < TRIALS; trial++) {
        long begin = System.nanoTime();
        run();
        long nanos = System.nanoTime() - begin;
        if (nanos < bestNanos) {
          bestNanos = nanos;
          best = candidate;
        }
      }
    }
    return best;
  }

  private List<Tensor> randoms(int copies, long outer, long middle, long headDim) {
    List<Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < copies; i++) {
      tensors.add(random(outer, middle, headDim));
    }
    return tensors;
  }

  private List<Tensor> transposed(List<Tensor> tensors) {
    return tensors.stream().map(tensor -> own(tensor.transpose(1, 2))).toList();
  }

  private Tensor random(long outer, long middle, long headDim) {
    return own(torch.randn(1, outer, middle, headDim));
  }

  private <P extends Pointer> P own(P pointer) {
    owned.push(pointer);
    return pointer;
  }

  @Override
  public String name() {
    return "libtorch f32 (" + setting.name() + ")";
  }

  @Override
  public double work() {
    return work;
  }

  @Override
  public void prepare() {
    torch.set_num_threads(threads);
  }

  @Override
  public void run() {
    Tensor key = setting.keys().get(next);
    Tensor value = setting.values().get(next);
    torch
        .scaled_dot_product_attention(
            setting.query(), key, value, noMask, 0, setting.causal(), defaultScale, setting.enableGqa())
        .close();
    next = next + 1 == setting.keys().size() ? 0 : next + 1;
  }

  @Override
  public void close() {
    while (!owned.isEmpty()) {
      owned.pop().close();
    }
  }
}
