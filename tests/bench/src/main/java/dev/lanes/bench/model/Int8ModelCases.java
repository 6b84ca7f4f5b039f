package dev.lanes.bench.model;

import dev.lanes.bench.ceiling.Ceilings;
import dev.lanes.bench.harness.BenchCase;
import dev.lanes.model.Quantization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Whole W8A8 models in tok/s beside our own bfloat16 ones, both from the same checkpoint; embedding and LM head are int8 too. The ceilings
 * are what the products of the prompt's tokens leave of the int8 peak, and what reading weights and cache once a token leaves of the
 * read bandwidth.
 */
public final class Int8ModelCases implements AutoCloseable {
  private static final int PROMPT_TOKENS = 512;
  private static final int SHORT_PROMPT_TOKENS = 16;
  private static final int DECODED_TOKENS = 64;
  private static final int CONTEXT = PROMPT_TOKENS + 64;
  private static final int INT8_BYTES = 1;
  private static final int CACHE_BYTES = 2;

  private final Path directory;
  private final int threads;

  // The last shape's models: large, so one shape at a time.
  private ModelShape loaded;
  private OurModel int8;
  private OurModel bf16;

  /**
   * @param directory where models are written
   */
  public Int8ModelCases(Path directory, int threads) {
    this.directory = directory;
    this.threads = threads;
  }

  public List<BenchCase> all() {
    List<BenchCase> cases = new ArrayList<>();
    for (ModelShape shape : new ModelShape[] {ModelShape.M135, ModelShape.B1}) {
      boolean quick = shape != ModelShape.B1;
      cases.add(new BenchCase(
          name(shape, "prefill" + PROMPT_TOKENS),
          "tok/s",
          quick,
          () -> int8(shape).prefill(PROMPT_TOKENS),
          () -> bf16(shape).prefill(PROMPT_TOKENS),
          () -> Ceilings.scaled(Ceilings.int8Dot(threads), 1 / shape.prefillGigaFlops())));
      double gigaBytes = shape.decodeGigaBytes(INT8_BYTES, SHORT_PROMPT_TOKENS + DECODED_TOKENS / 2.0, CACHE_BYTES);
      cases.add(new BenchCase(
          name(shape, "decode"),
          "tok/s",
          quick,
          () -> int8(shape).decode(SHORT_PROMPT_TOKENS, DECODED_TOKENS),
          () -> bf16(shape).decode(SHORT_PROMPT_TOKENS, DECODED_TOKENS),
          () -> Ceilings.scaled(Ceilings.read(threads), 1 / gigaBytes)));
    }
    return cases;
  }

  private String name(ModelShape shape, String what) {
    return shape.name() + ".w8a8." + what + ".t" + threads;
  }

  private OurModel int8(ModelShape shape) {
    use(shape);
    if (int8 == null) {
      int8 = load("Lanes", shape, Quantization.W8A8);
    }
    return int8;
  }

  private OurModel bf16(ModelShape shape) {
    use(shape);
    if (bf16 == null) {
      bf16 = load("Lanes bf16", shape, Quantization.NONE);
    }
    return bf16;
  }

  private OurModel load(String name, ModelShape shape, Quantization quantization) {
    try {
      return new OurModel(name, ModelFiles.checkpoint(shape, directory), shape.vocabulary(), threads, CONTEXT, quantization);
    } catch (IOException e) {
      throw new UncheckedIOException("the model of shape " + shape.name() + " cannot be written to " + directory, e);
    }
  }

  private void use(ModelShape shape) {
    if (loaded != shape) {
      close();
      loaded = shape;
    }
  }

  @Override
  public void close() {
    OurModel lastInt8 = int8;
    OurModel lastBf16 = bf16;
    int8 = null;
    bf16 = null;
    loaded = null;
    try (lastInt8;
        lastBf16) {
      return;
    }
  }
}
