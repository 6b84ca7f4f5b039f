package dev.lanes.bench.kernel;

import dev.lanes.backend.Activation;
import dev.lanes.backend.DType;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.NormKind;
import dev.lanes.backend.Op;
import dev.lanes.backend.PackedWeight;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.RopePairing;
import dev.lanes.backend.SampleRow;
import dev.lanes.backend.Tensor;
import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.Ours;
import dev.lanes.bench.harness.RandomData;
import dev.lanes.bench.peer.OneDnn;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/** The ops that memory bounds, in GB/s of what they must read and write; their tensors are larger than the caches. */
public final class MemoryCases {
  private static final int TOKENS = 4096;
  private static final int HIDDEN = 4096;
  private static final int VOCABULARY = 32000;
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_DIM = 128;
  private static final float EPSILON = 1e-5f;
  private static final double GB_PER_FLOAT = 4e-9;

  private final int threads;
  private final List<BenchCase> cases = new ArrayList<>();

  private MemoryCases(int threads) {
    this.threads = threads;
  }

  /** The cases at a number of threads. */
  public static List<BenchCase> all(int threads) {
    MemoryCases all = new MemoryCases(threads);
    all.norms();
    all.rotary();
    all.gating();
    all.embedding();
    all.kvWrites();
    all.experts();
    all.sampling();
    return all.cases;
  }

  private void norms() {
    double work = 2 * GB_PER_FLOAT * TOKENS * HIDDEN;
    for (NormKind kind : NormKind.values()) {
      boolean rms = kind == NormKind.RMS;
      String name = rms ? "rmsnorm" : "layernorm";
      add(
          name,
          ours(
              work,
              ours -> {
                Tensor x = ours.tensor(TOKENS, HIDDEN);
                Op.Norm op = norm(ours, kind, x, null, null, x);
                return () -> ours.backend().norm(op);
              }),
          () -> OneDnn.norm(rms, TOKENS, HIDDEN, work, threads),
          true);
      // Reads x and the residual, writes their sum and the norm: twice the bytes, so compared by bandwidth.
      add(
          name + ".residual",
          ours(
              2 * work,
              ours -> {
                Tensor x = ours.tensor(TOKENS, HIDDEN);
                Tensor residual = ours.tensor(TOKENS, HIDDEN);
                // As in a model: the sum goes where the residual was, its norm where x was.
                Op.Norm op = norm(ours, kind, x, residual, residual, x);
                return () -> ours.backend().norm(op);
              }),
          () -> OneDnn.norm(rms, TOKENS, HIDDEN, work, threads),
          true);
      // As in a W8A8 model: the norm leaves as int8.
      add(
          name + ".int8",
          ours(
              1e-9 * (3 * Float.BYTES + 1) * TOKENS * HIDDEN,
              ours -> {
                Tensor residual = ours.tensor(TOKENS, HIDDEN);
                QuantizedTensor y = ours.quantizedTensor(TOKENS, HIDDEN);
                Op.Norm op =
                    new Op.Norm(
                        kind, EPSILON, ours.tensor(TOKENS, HIDDEN), residual, ours.tensor(1, HIDDEN),
                        rms ? null : ours.tensor(1, HIDDEN), residual, null, y, 0);
                return () -> ours.backend().norm(op);
              }),
          () -> OneDnn.norm(rms, TOKENS, HIDDEN, work, threads),
          true);
    }
  }

  private static Op.Norm norm(Ours ours, NormKind kind, Tensor x, Tensor residual, Tensor sum, Tensor y) {
    Tensor weight = ours.tensor(1, HIDDEN);
    Tensor bias = kind == NormKind.LAYER ? ours.tensor(1, HIDDEN) : null;
    return new Op.Norm(kind, EPSILON, x, residual, weight, bias, sum, y);
  }

  private void rotary() {
    for (RopePairing pairing : RopePairing.values()) {
      add(
          pairing == RopePairing.HALF ? "rope.half" : "rope.interleaved",
          ours(
              2 * GB_PER_FLOAT * TOKENS * HEADS * HEAD_DIM,
              ours -> {
                Tensor x = ours.tensor(TOKENS, HEADS * HEAD_DIM);
                Tensor cos = ours.tensor(TOKENS, HEAD_DIM / 2);
                Tensor sin = ours.tensor(TOKENS, HEAD_DIM / 2);
                long[] positions = new long[TOKENS];
                double[] frequencies = new double[HEAD_DIM / 2];
                for (int i = 0; i < TOKENS; i++) {
                  positions[i] = i;
                }
                for (int i = 0; i < frequencies.length; i++) {
                  frequencies[i] = Math.pow(10000, -2.0 * i / HEAD_DIM);
                }
                ours.backend().ropeTable(new Op.RopeTable(positions, frequencies, 1, cos, sin));
                Op.Rope op = new Op.Rope(pairing, HEADS, HEAD_DIM, cos, sin, x, x);
                return () -> ours.backend().rope(op);
              }),
          null,
          pairing == RopePairing.HALF);
    }
  }

  private void gating() {
    for (Activation activation : new Activation[] {Activation.SILU, Activation.GELU_TANH}) {
      add(
          activation == Activation.SILU ? "gate.silu" : "gate.gelu_tanh",
          ours(
              3 * GB_PER_FLOAT * TOKENS * HIDDEN,
              ours -> {
                Op.Gate op =
                    new Op.Gate(
                        activation, ours.tensor(TOKENS, HIDDEN), ours.tensor(TOKENS, HIDDEN), ours.tensor(TOKENS, HIDDEN));
                return () -> ours.backend().gate(op);
              }),
          null,
          activation == Activation.SILU);
    }
  }

  private void embedding() {
    for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
      add(
          dtype == DType.F32 ? "embed.f32" : "embed.bf16",
          ours(
              1e-9 * (dtype.bytes() + Float.BYTES) * TOKENS * HIDDEN,
              ours -> {
                PackedWeight table = ours.weights(VOCABULARY, HIDDEN, dtype, 1)[0];
                Op.Embed op = new Op.Embed(table, RandomData.ids(TOKENS, VOCABULARY), false, ours.tensor(TOKENS, HIDDEN));
                return () -> ours.backend().embed(op);
              }),
          null,
          dtype == DType.BF16);
    }
  }

  private void kvWrites() {
    for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
      int width = KV_HEADS * HEAD_DIM;
      add(
          dtype == DType.F32 ? "kvwrite.f32" : "kvwrite.bf16",
          ours(
              2e-9 * (Float.BYTES + dtype.bytes()) * TOKENS * width,
              ours -> {
                int pages = TOKENS / KvPages.PAGE_TOKENS;
                KvPages pool = ours.pages(new KvPages.Spec(pages, 1, KV_HEADS, HEAD_DIM, dtype));
                long[] slots = new long[TOKENS];
                for (int i = 0; i < TOKENS; i++) {
                  slots[i] = i;
                }
                Op.KvWrite op = new Op.KvWrite(pool, 0, slots, ours.tensor(TOKENS, width), ours.tensor(TOKENS, width));
                return () -> ours.backend().kvWrite(op);
              }),
          null,
          dtype == DType.BF16);
    }
  }

  private void experts() {
    int experts = 64;
    int topK = 2;
    addReading(
        "route",
        ours(
            GB_PER_FLOAT * TOKENS * experts,
            ours -> {
              Op.Route op =
                  new Op.Route(ours.tensor(TOKENS, experts), topK, true, new int[TOKENS * topK], new float[TOKENS * topK]);
              return () -> ours.backend().route(op);
            }),
        false);
    add(
        "gather",
        ours(
            2 * GB_PER_FLOAT * TOKENS * HIDDEN,
            ours -> {
              Op.Gather op = new Op.Gather(ours.tensor(TOKENS, HIDDEN), RandomData.ids(TOKENS, TOKENS), ours.tensor(TOKENS, HIDDEN));
              return () -> ours.backend().gather(op);
            }),
        null,
        false);
    add(
        "combine",
        ours(
            (topK + 1) * GB_PER_FLOAT * TOKENS * HIDDEN,
            ours -> {
              Op.Combine op =
                  new Op.Combine(
                      ours.tensor(TOKENS, HIDDEN),
                      topK,
                      RandomData.ids(TOKENS * topK, TOKENS),
                      RandomData.floats(TOKENS * topK),
                      null,
                      ours.tensor(TOKENS, HIDDEN));
              return () -> ours.backend().combine(op);
            }),
        null,
        false);
  }

  private void sampling() {
    int rows = 256;
    double work = GB_PER_FLOAT * rows * VOCABULARY;
    addReading("sample.greedy", ours(work, ours -> sample(ours, rows, SampleRow.greedy())), true);
    SampleRow nucleus = new SampleRow(0.8f, 0, 0.95f, 0, 1, 1, 0, new int[0]);
    addReading("sample.top_p", ours(work, ours -> sample(ours, rows, nucleus)), true);
    addReading(
        "toplogprobs",
        ours(
            work,
            ours -> {
              int topK = 5;
              Op.TopLogProbabilities op =
                  new Op.TopLogProbabilities(ours.tensor(rows, VOCABULARY), topK, new int[rows * topK], new float[rows * topK]);
              return () -> ours.backend().topLogProbabilities(op);
            }),
        false);
  }

  private static Runnable sample(Ours ours, int rows, SampleRow row) {
    SampleRow[] all = new SampleRow[rows];
    Arrays.fill(all, row);
    Op.Sample op = new Op.Sample(ours.tensor(rows, VOCABULARY), all, new int[rows], null);
    return () -> ours.backend().sample(op);
  }

  private Supplier<Contender> ours(double work, Function<Ours, Runnable> prepare) {
    return () -> Ours.of(work, threads, prepare);
  }

  private void add(String name, Supplier<Contender> ours, Supplier<Contender> peer, boolean quick) {
    cases.add(new BenchCase(name + ".t" + threads, "GB/s", quick, ours, peer, () -> Ceilings.update(threads)));
  }

  /** For ops whose output is small beside their input. */
  private void addReading(String name, Supplier<Contender> ours, boolean quick) {
    cases.add(new BenchCase(name + ".t" + threads, "GB/s", quick, ours, null, () -> Ceilings.read(threads)));
  }
}
