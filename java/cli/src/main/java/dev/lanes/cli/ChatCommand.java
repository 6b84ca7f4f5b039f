package dev.lanes.cli;

import dev.lanes.ChatMessage;
import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.GenerationStream;
import dev.lanes.LanguageModel;
import dev.lanes.Piece;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lanes chat}: a conversation, line by line, or one answer. */
@Command(name = "chat", mixinStandardHelpOptions = true, sortOptions = false,
    description = "Chats with a model: answers --message, or each line of stdin until its end.")
final class ChatCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private ModelOptions modelOptions;

  @Option(names = "--system", paramLabel = "TEXT", description = "A system message.")
  private String system;

  @Option(names = "--message", paramLabel = "TEXT", description = "Answer this message and stop.")
  private String message;

  @Mixin private SamplingOptions sampling;

  @Option(names = "--json", description = "Print one JSON object for each answer.")
  private boolean json;

  ChatCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    GenerationOptions options = sampling.options();
    List<ChatMessage> messages = new ArrayList<>();
    if (system != null) {
      messages.add(ChatMessage.system(system));
    }
    try (LanguageModel model = modelOptions.load(console)) {
      if (message != null) {
        answer(model, messages, message, options);
      } else {
        converse(model, messages, options);
      }
      return ExitCode.OK;
    }
  }

  private void converse(LanguageModel model, List<ChatMessage> messages, GenerationOptions options) {
    boolean interactive = Console.isInteractive();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try {
      while (true) {
        if (interactive) {
          console.err().print("> ");
          console.err().flush();
        }
        String line = input.readLine();
        if (line == null) {
          return;
        }
        if (!line.isBlank()) {
          answer(model, messages, line, options);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Answers a message and adds both to the conversation. */
  private void answer(LanguageModel model, List<ChatMessage> messages, String text, GenerationOptions options) {
    messages.add(ChatMessage.user(text));
    try (GenerationStream stream = model.streamChat(messages, options)) {
      if (!json) {
        for (Piece piece : stream) {
          console.part(piece.text());
        }
        console.out().println();
      }
      Generation generation = stream.result();
      if (json) {
        console.json(Reports.json(generation));
        console.requireWritable();
      } else if (!modelOptions.quiet()) {
        Reports.remarks(console, generation);
      }
      messages.add(ChatMessage.assistant(generation.text()));
    }
  }
}
