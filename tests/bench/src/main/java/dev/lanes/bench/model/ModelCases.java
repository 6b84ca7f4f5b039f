package dev.lanes.bench.model;

import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.bench.peer.LlamaCpp;
import dev.lanes.engine.ModelProfile;
import dev.lanes.engine.StepProfile;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Whole models in tok/s. The ceilings are what the matrix products of the prompt's tokens leave of the bfloat16 peak, and what reading
 * weights and cache once a token leaves of the read bandwidth.
 */
public final class ModelCases implements AutoCloseable {
  private static final int PROMPT_TOKENS = 512;
  private static final int SHORT_PROMPT_TOKENS = 16;
  private static final int DECODED_TOKENS = 64;
  private static final int BF16_BYTES = 2;

  /** What attention should reach of the read bandwidth. */
  private static final double CACHE_SHARE = 0.8;

  /** The peer's context; its cache is allocated as a whole. */
  private static final int LLAMA_CONTEXT = 8192;

  private final Path directory;
  private final int threads;

  // The last shape's models: large, so one shape at a time.
  private ModelShape loaded;
  private OurModel ours;
  private OurModel reusing;
  private LlamaCpp llama;

  /**
   * @param directory where models are written
   */
  public ModelCases(Path directory, int threads) {
    this.directory = directory;
    this.threads = threads;
  }

  public List<BenchCase> all() {
    List<BenchCase> cases = new ArrayList<>();
    for (ModelShape shape : new ModelShape[] {ModelShape.M15, ModelShape.M135, ModelShape.B1}) {
      boolean quick = shape != ModelShape.B1;
      cases.add(prefill(shape, quick));
      cases.add(decode(shape, SHORT_PROMPT_TOKENS, "decode", quick));
      if (shape == ModelShape.M135) {
        cases.add(decode(shape, 1024, "decode.depth1024", false));
        cases.add(decode(shape, 4096, "decode.depth4096", false));
      }
      if (shape == ModelShape.B1) {
        cases.add(batch(shape, 8));
        cases.add(batch(shape, 32));
        cases.add(loss(shape, 1024));
        cases.add(loss(shape, 4096));
        cases.add(loss(shape, 16384));
      }
    }
    return cases;
  }

  private BenchCase prefill(ModelShape shape, boolean quick) {
    return new BenchCase(
        name(shape, "prefill" + PROMPT_TOKENS),
        "tok/s",
        quick,
        () -> ours(shape).prefill(PROMPT_TOKENS),
        () -> llama(shape).prefill(PROMPT_TOKENS),
        () -> Ceilings.scaled(Ceilings.bf16Dot(threads), 1 / shape.prefillGigaFlops()));
  }

  private BenchCase decode(ModelShape shape, int depth, String what, boolean quick) {
    double gigaBytes = shape.decodeGigaBytes(BF16_BYTES, depth + DECODED_TOKENS / 2.0, BF16_BYTES);
    return new BenchCase(
        name(shape, what),
        "tok/s",
        quick,
        () -> ours(shape).decode(depth, DECODED_TOKENS),
        () -> llama(shape).decode(depth, DECODED_TOKENS),
        () -> Ceilings.scaled(Ceilings.read(threads), 1 / gigaBytes));
  }

  /** Several sequences side by side, beside one alone: the ratio is what a batch gains. */
  private BenchCase batch(ModelShape shape, int sequences) {
    double gigaBytes = shape.decodeGigaBytes(BF16_BYTES, sequences * (SHORT_PROMPT_TOKENS + DECODED_TOKENS / 2.0), BF16_BYTES);
    return new BenchCase(
        name(shape, "decode.batch" + sequences),
        "tok/s",
        false,
        () -> ours(shape).decode("Lanes", sequences, SHORT_PROMPT_TOKENS, DECODED_TOKENS),
        () -> ours(shape).decode("one sequence", 1, SHORT_PROMPT_TOKENS, DECODED_TOKENS),
        () -> Ceilings.scaled(Ceilings.read(threads), sequences / gigaBytes));
  }

  /**
   * Decode behind a long context, beside a short one. Predicted: a token takes as long as behind the short one, and as long as reading
   * the keys and values at {@link #CACHE_SHARE} of the read bandwidth.
   */
  private BenchCase loss(ModelShape shape, int depth) {
    double tokens = depth + DECODED_TOKENS / 2.0;
    double gigaBytes = shape.decodeGigaBytes(BF16_BYTES, tokens, BF16_BYTES);
    double cache = shape.cacheGigaBytes(tokens - SHORT_PROMPT_TOKENS - DECODED_TOKENS / 2.0, BF16_BYTES);
    return new BenchCase(
            name(shape, "decode.context" + depth),
            "tok/s",
            false,
            () -> reusing(shape).decode(depth, DECODED_TOKENS),
            () -> reusing(shape).decode("short context", 1, SHORT_PROMPT_TOKENS, DECODED_TOKENS),
            () -> Ceilings.scaled(Ceilings.read(threads), 1 / gigaBytes))
        .expecting((shallow, ceiling) -> 1 / (1 / shallow + cache / (CACHE_SHARE * ceiling * gigaBytes)));
  }

  /** Prints where the time of steps goes, for each shape. */
  public void profile(boolean quick, PrintStream out) {
    for (ModelShape shape : quick ? new ModelShape[] {ModelShape.M135} : new ModelShape[] {ModelShape.M135, ModelShape.B1}) {
      close();
      boolean small = shape != ModelShape.B1;
      try (OurModel model = open(shape, PROMPT_TOKENS + 1024, false, true)) {
        ModelProfile prefill = model.profile(PROMPT_TOKENS, 2, small ? 10 : 3);
        ModelProfile decode = model.profile(SHORT_PROMPT_TOKENS, small ? 1000 : 100, small ? 3 : 2);
        print(out, name(shape, "prefill" + PROMPT_TOKENS), prefill.prefill());
        print(out, name(shape, "decode"), decode.decode());
      }
    }
  }

  private static void print(PrintStream out, String name, StepProfile profile) {
    out.println(name + ": " + profile.steps() + " steps");
    profile.table().forEach(line -> out.println("  " + line));
  }

  private String name(ModelShape shape, String what) {
    return shape.name() + ".bf16." + what + ".t" + threads;
  }

  private OurModel ours(ModelShape shape) {
    use(shape);
    if (ours == null) {
      ours = open(shape, LLAMA_CONTEXT, false, false);
    }
    return ours;
  }

  /** For long prompts, which are computed once. */
  private OurModel reusing(ModelShape shape) {
    use(shape);
    if (reusing == null) {
      reusing = open(shape, 3 * shape.context() / 4, true, false);
    }
    return reusing;
  }

  private OurModel open(ModelShape shape, int cacheTokens, boolean reuse, boolean profile) {
    try {
      return new OurModel(ModelFiles.checkpoint(shape, directory), shape.vocabulary(), threads, cacheTokens, reuse, profile);
    } catch (IOException e) {
      throw new UncheckedIOException("the model of shape " + shape.name() + " cannot be written to " + directory, e);
    }
  }

  private LlamaCpp llama(ModelShape shape) {
    use(shape);
    if (llama == null) {
      try {
        llama = new LlamaCpp(ModelFiles.gguf(shape, directory), threads, Math.min(shape.context(), LLAMA_CONTEXT));
      } catch (IOException e) {
        throw new UncheckedIOException("the GGUF file of shape " + shape.name() + " cannot be written to " + directory, e);
      }
    }
    return llama;
  }

  private void use(ModelShape shape) {
    if (loaded != shape) {
      close();
      loaded = shape;
    }
  }

  @Override
  public void close() {
    OurModel lastOurs = ours;
    OurModel lastReusing = reusing;
    LlamaCpp lastLlama = llama;
    ours = null;
    reusing = null;
    llama = null;
    loaded = null;
    try (lastOurs;
        lastReusing;
        lastLlama) {
      return;
    }
  }
}
