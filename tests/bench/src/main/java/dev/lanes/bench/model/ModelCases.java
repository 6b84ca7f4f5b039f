package dev.lanes.bench.model;

import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.bench.peer.LlamaCpp;
import java.io.IOException;
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

  private final Path directory;
  private final int threads;

  // The last shape's models: large, so one shape at a time.
  private ModelShape loaded;
  private OurModel ours;
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
    double gigaBytes = shape.decodeGigaBytes(depth + DECODED_TOKENS / 2.0, BF16_BYTES);
    return new BenchCase(
        name(shape, what),
        "tok/s",
        quick,
        () -> ours(shape).decode(depth, DECODED_TOKENS),
        () -> llama(shape).decode(depth, DECODED_TOKENS),
        () -> Ceilings.scaled(Ceilings.read(threads), 1 / gigaBytes));
  }

  private String name(ModelShape shape, String what) {
    return shape.name() + ".bf16." + what + ".t" + threads;
  }

  private OurModel ours(ModelShape shape) {
    use(shape);
    if (ours == null) {
      try {
        ours = new OurModel(ModelFiles.checkpoint(shape, directory), shape.vocabulary(), threads, shape.context());
      } catch (IOException e) {
        throw new UncheckedIOException("the model of shape " + shape.name() + " cannot be written to " + directory, e);
      }
    }
    return ours;
  }

  private LlamaCpp llama(ModelShape shape) {
    use(shape);
    if (llama == null) {
      try {
        llama = new LlamaCpp(ModelFiles.gguf(shape, directory), threads, shape.context());
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
    LlamaCpp lastLlama = llama;
    ours = null;
    llama = null;
    loaded = null;
    try (lastOurs;
        lastLlama) {
      return;
    }
  }
}
