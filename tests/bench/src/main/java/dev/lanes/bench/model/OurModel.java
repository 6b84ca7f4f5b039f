package dev.lanes.bench.model;

import dev.lanes.Device;
import dev.lanes.GenerationOptions;
import dev.lanes.GenerationStream;
import dev.lanes.Lanes;
import dev.lanes.LanguageModel;
import dev.lanes.LoadOptions;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.bench.harness.Contender;
import dev.lanes.bench.harness.RandomData;
import java.nio.file.Path;

/** Our side of the model cases: bfloat16 weights, products and cache, through the public API. */
final class OurModel implements AutoCloseable {
  private final LanguageModel model;
  private final int vocabulary;

  OurModel(Path directory, int vocabulary, int threads, int context) {
    this.vocabulary = vocabulary;
    model =
        Lanes.load(
            directory,
            LoadOptions.builder()
                .device(Device.CPU)
                .threads(threads)
                .compute(Compute.BF16)
                .cacheType(DType.BF16)
                .contextLength(context)
                .cacheTokens(context)
                // Every turn computes its whole prompt.
                .prefixCache(false)
                .build());
  }

  /** Computes a prompt and the first token after it. */
  Contender prefill(int promptTokens) {
    int[] prompt = RandomData.ids(promptTokens, vocabulary);
    GenerationOptions options = options(1);
    return new Contender() {
      @Override
      public String name() {
        return "Lanes";
      }

      @Override
      public double work() {
        return promptTokens;
      }

      @Override
      public void run() {
        check(model.generate(prompt, options).outputIds().length, 1);
      }
    };
  }

  /** Decodes {@code tokens} tokens after a prompt; the prompt and the first token are outside the measured time. */
  Contender decode(int promptTokens, int tokens) {
    int[] prompt = RandomData.ids(promptTokens, vocabulary);
    GenerationOptions options = options(tokens + 1);
    return new Contender() {
      private GenerationStream stream;

      @Override
      public String name() {
        return "Lanes";
      }

      @Override
      public double work() {
        return tokens;
      }

      @Override
      public boolean repeatable() {
        return false;
      }

      @Override
      public void prepare() {
        close();
        stream = model.stream(prompt, options);
        stream.next();
      }

      @Override
      public void run() {
        check(stream.result().outputIds().length, tokens + 1);
      }

      @Override
      public void close() {
        if (stream != null) {
          stream.close();
        }
      }
    };
  }

  private static GenerationOptions options(int tokens) {
    return GenerationOptions.builder().maxTokens(tokens).ignoreEos(true).build();
  }

  private static void check(int tokens, int wanted) {
    if (tokens != wanted) {
      throw new IllegalStateException("the model made " + tokens + " tokens, wanted " + wanted);
    }
  }

  @Override
  public void close() {
    model.close();
  }
}
