package dev.lanes.cli;

import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.GenerationStream;
import dev.lanes.LanguageModel;
import dev.lanes.Piece;
import dev.lanes.format.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanes generate}: text after a prompt. */
@Command(name = "generate", description = "Generates text after a prompt.", mixinStandardHelpOptions = true, sortOptions = false)
final class GenerateCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ModelOptions modelOptions;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Prompt prompt;

  @Mixin private SamplingOptions sampling;

  @Option(names = "--logits", paramLabel = "FILE", description = "Write the prompt's logits [tokens, vocabulary] to a safetensors file.")
  private Path logitsFile;

  @Option(names = "--json", description = "Print one JSON object instead of the text.")
  private boolean json;

  GenerateCommand(Console console) {
    this.console = console;
  }

  /** The prompt, in one of three forms. */
  private static final class Prompt {
    @Option(names = "--prompt", paramLabel = "TEXT", description = "The prompt.")
    private String text;

    @Option(names = "--prompt-file", paramLabel = "FILE", description = "A UTF-8 file with the prompt.")
    private Path file;

    @Option(names = "--prompt-ids", paramLabel = "1,2,3", description = "The prompt as token ids, for models without a tokenizer.")
    private String ids;
  }

  @Override
  public Integer call() {
    GenerationOptions options = sampling.options();
    requireFolderOfLogits();
    int[] ids = prompt.ids == null ? null : parseIds(prompt.ids);
    String text = prompt.file == null ? prompt.text : TextFiles.read("--prompt-file", prompt.file);
    try (LanguageModel model = modelOptions.load(console);
        GenerationStream stream = ids == null ? model.stream(text, options) : model.stream(ids, options)) {
      if (!json) {
        print(model, stream);
      }
      Generation generation = stream.result();
      if (json) {
        console.json(Reports.json(generation));
      } else if (!modelOptions.quiet()) {
        Reports.remarks(console, generation);
      }
      if (logitsFile != null) {
        writeLogits(model, generation.promptIds());
      }
      return ExitCode.OK;
    }
  }

  private void print(LanguageModel model, GenerationStream stream) {
    boolean hasText = model.info().hasTokenizer();
    for (Piece piece : stream) {
      console.part(hasText ? piece.text() : piece.tokenId() + " ");
    }
    console.out().println();
  }

  /** A mistyped folder is better known before the work than after it. */
  private void requireFolderOfLogits() {
    if (logitsFile != null && !Files.isDirectory(logitsFile.toAbsolutePath().getParent())) {
      throw new ExitCode.UserError("--logits: cannot write " + logitsFile + ": " + logitsFile.toAbsolutePath().getParent()
          + " is no directory");
    }
  }

  private void writeLogits(LanguageModel model, int[] promptIds) {
    float[][] logits = model.logits(promptIds);
    int vocabulary = logits[0].length;
    float[] flat = new float[Math.multiplyExact(logits.length, vocabulary)];
    for (int i = 0; i < logits.length; i++) {
      System.arraycopy(logits[i], 0, flat, i * vocabulary, vocabulary);
    }
    try {
      new SafetensorsWriter().add("logits", flat, logits.length, vocabulary).add("prompt_ids", promptIds, promptIds.length)
          .write(logitsFile);
    } catch (IOException e) {
      throw new ExitCode.UserError("--logits: cannot write " + logitsFile + ": " + e.getMessage(), e);
    }
  }

  private static int[] parseIds(String text) {
    String[] parts = text.strip().split("\\s*,\\s*", -1);
    int[] ids = new int[parts.length];
    for (int i = 0; i < parts.length; i++) {
      try {
        ids[i] = Integer.parseInt(parts[i]);
      } catch (NumberFormatException e) {
        throw new IllegalArgumentException("--prompt-ids: '" + parts[i] + "' is not a token id, expected numbers such as 1,2,3");
      }
    }
    return ids;
  }
}
