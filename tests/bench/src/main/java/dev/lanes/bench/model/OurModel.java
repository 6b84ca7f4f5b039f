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
import dev.lanes.engine.ModelProfile;
import dev.lanes.model.Quantization;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Our side of the model cases: bfloat16 weights and products, or W8A8 with an int8 head; bfloat16 cache; through the public API. */
final class OurModel implements AutoCloseable {
  private final LanguageModel model;
  private final String name;
  private final int vocabulary;

  /**
   * @param cacheTokens tokens of all sequences together
   * @param reuse whether prompts that begin alike are computed once; otherwise every turn computes its whole prompt
   */
  OurModel(Path directory, int vocabulary, int threads, int cacheTokens, boolean reuse, boolean profile) {
    this("Lanes", directory, vocabulary, threads, cacheTokens, reuse, profile, Quantization.NONE);
  }

  /** A model that has its own name among the contenders. */
  OurModel(String name, Path directory, int vocabulary, int threads, int cacheTokens, Quantization quantization) {
    this(name, directory, vocabulary, threads, cacheTokens, false, false, quantization);
  }

  private OurModel(String name, Path directory, int vocabulary, int threads, int cacheTokens, boolean reuse, boolean profile,
      Quantization quantization) {
    this.name = name;
    this.vocabulary = vocabulary;
    model =
        Lanes.load(
            directory,
            LoadOptions.builder()
                .device(Device.CPU)
                .threads(threads)
                .compute(Compute.BF16)
                .quantization(quantization)
                .quantizeHead(quantization == Quantization.W8A8)
                .cacheType(DType.BF16)
                .cacheTokens(cacheTokens)
                .prefixCache(reuse)
                .profile(profile)
                .build());
  }

  /** Computes a prompt and the first token after it. */
  Contender prefill(int promptTokens) {
    int[] prompt = RandomData.ids(promptTokens, vocabulary);
    GenerationOptions options = options(1);
    return new Contender() {
      @Override
      public String name() {
        return name;
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
    return decode(name, 1, promptTokens, tokens);
  }

  /** The same for several sequences side by side, with prompts of their own; all their tokens count. */
  Contender decode(String name, int sequences, int promptTokens, int tokens) {
    GenerationOptions options = options(tokens + 1);
    int[] ids = RandomData.ids(promptTokens + sequences, vocabulary);
    return new Contender() {
      private final List<GenerationStream> streams = new ArrayList<>();

      @Override
      public String name() {
        return name;
      }

      @Override
      public double work() {
        return (double) sequences * tokens;
      }

      @Override
      public boolean repeatable() {
        return false;
      }

      @Override
      public void prepare() {
        close();
        for (int s = 0; s < sequences; s++) {
          streams.add(model.stream(Arrays.copyOfRange(ids, s, s + promptTokens), options));
        }
        streams.forEach(GenerationStream::next);
      }

      @Override
      public void run() {
        for (GenerationStream stream : streams) {
          check(stream.result().outputIds().length, tokens + 1);
        }
      }

      @Override
      public void close() {
        streams.forEach(GenerationStream::close);
        streams.clear();
      }
    };
  }

  /** Where the time of steps goes: prompts of {@code promptTokens}, each with {@code tokens} of output, warm. */
  ModelProfile profile(int promptTokens, int tokens, int rounds) {
    int[] prompt = RandomData.ids(promptTokens, vocabulary);
    GenerationOptions options = options(tokens);
    model.generate(prompt, options);
    model.resetProfile();
    for (int i = 0; i < rounds; i++) {
      model.generate(prompt, options);
    }
    return model.profile().orElseThrow();
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
