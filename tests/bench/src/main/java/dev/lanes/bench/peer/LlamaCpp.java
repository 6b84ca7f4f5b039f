package dev.lanes.bench.peer;

import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaIterator;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import de.kherud.llama.args.LogFormat;
import dev.lanes.bench.harness.Contender;
import java.io.PrintStream;
import java.nio.file.Path;

/**
 * llama.cpp through de.kherud:llama, what a JVM user gets from the registry today. Its library is built for AVX2 and from an older
 * llama.cpp: one built for this very CPU is several times faster at prefill (see docs/lab/README.md).
 */
public final class LlamaCpp implements AutoCloseable {
  private static final String NAME = "llama.cpp bf16 (de.kherud:llama 4.2.0, AVX2 build)";

  private final LlamaModel model;

  /**
   * @param gguf a model whose vocabulary has single letters
   */
  public LlamaCpp(Path gguf, int threads, int context) {
    PrintStream out = System.out;
    // Its loader prints where it unpacks the library; standard output is for results.
    System.setOut(System.err);
    try {
      LlamaModel.setLogger(LogFormat.TEXT, (level, message) -> {});
    } finally {
      System.setOut(out);
    }
    model =
        new LlamaModel(
            new ModelParameters()
                .setModel(gguf.toString())
                .setThreads(threads)
                .setThreadsBatch(threads)
                .setCtxSize(context)
                .setBatchSize(Math.min(context, 2048))
                .setUbatchSize(512)
                // Between turns its threads must sleep, not wait for work in a loop.
                .setPoll(0)
                .setPollBatch(0)
                .disableLog());
  }

  /** Computes a prompt and the first token after it. */
  public Contender prefill(int promptTokens) {
    String prompt = prompt(promptTokens);
    return new Contender() {
      @Override
      public String name() {
        return NAME;
      }

      @Override
      public double work() {
        return promptTokens;
      }

      @Override
      public void run() {
        model.complete(parameters(prompt, 1));
      }
    };
  }

  /** Decodes {@code tokens} tokens after a prompt; the prompt and the first token are outside the measured time. */
  public Contender decode(int promptTokens, int tokens) {
    String prompt = prompt(promptTokens);
    return new Contender() {
      private LlamaIterator stream;

      @Override
      public String name() {
        return NAME;
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
        stream = model.generate(parameters(prompt, tokens + 1)).iterator();
        stream.next();
      }

      @Override
      public void run() {
        LlamaOutput last = null;
        while (stream.hasNext()) {
          last = stream.next();
        }
        if (last == null) {
          throw new IllegalStateException("llama.cpp ended after its first token instead of " + (tokens + 1));
        }
      }
    };
  }

  private static InferenceParameters parameters(String prompt, int tokens) {
    return new InferenceParameters(prompt).setNPredict(tokens).setTemperature(0).setIgnoreEos(true).setCachePrompt(false);
  }

  /** As many letters, each a token of the benchmark's vocabulary. */
  private String prompt(int tokens) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < tokens; i++) {
      text.append((char) ('a' + (i * 7 + i / 26) % 26));
    }
    int count = model.encode(text.toString()).length;
    if (count != tokens) {
      throw new IllegalStateException("llama.cpp makes " + count + " tokens of " + tokens + " letters, expected as many");
    }
    return text.toString();
  }

  @Override
  public void close() {
    model.close();
  }
}
