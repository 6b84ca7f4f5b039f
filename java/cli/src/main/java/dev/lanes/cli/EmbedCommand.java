package dev.lanes.cli;

import dev.lanes.EmbeddingOptions;
import dev.lanes.EmbeddingOptions.Pooling;
import dev.lanes.LanguageModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanes embed}: one vector for each text. */
@Command(name = "embed", mixinStandardHelpOptions = true, sortOptions = false,
    description = "Prints one vector for each text, a line each.")
final class EmbedCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ModelOptions modelOptions;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Source source;

  @Option(names = "--pooling", paramLabel = "mean|cls|last", defaultValue = "mean",
      description = "Which tokens make the vector (default: ${DEFAULT-VALUE}).")
  private Pooling pooling;

  @Option(names = "--no-normalize", description = "Do not scale the vectors to length 1.")
  private boolean raw;

  @Option(names = "--json", description = "Print a JSON array of objects with text and embedding.")
  private boolean json;

  EmbedCommand(Console console) {
    this.console = console;
  }

  /** The texts. */
  private static final class Source {
    @Option(names = "--text", paramLabel = "TEXT", description = "A text; may be given several times.")
    private List<String> texts = new ArrayList<>();

    @Option(names = "--file", paramLabel = "FILE", description = "A UTF-8 file with a text in each line.")
    private Path file;
  }

  @Override
  public Integer call() {
    List<String> texts = source.file == null ? source.texts : TextFiles.read("--file", source.file).lines().toList();
    try (LanguageModel model = modelOptions.load(console)) {
      List<float[]> vectors = model.embed(texts, new EmbeddingOptions(pooling, !raw));
      if (json) {
        List<Map<String, Object>> items = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
          Map<String, Object> item = new LinkedHashMap<>();
          item.put("text", texts.get(i));
          item.put("embedding", vectors.get(i));
          items.add(item);
        }
        console.json(items);
      } else {
        vectors.forEach(vector -> console.out().println(format(vector)));
      }
      return ExitCode.OK;
    }
  }

  private static String format(float[] vector) {
    StringJoiner line = new StringJoiner(" ");
    for (float value : vector) {
      line.add(Float.toString(value));
    }
    return line.toString();
  }
}
