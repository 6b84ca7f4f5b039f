package dev.lanes;

import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.format.TokenizerConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** A model's chat templates. */
final class ChatRenderer {
  private final Path directory;
  private final TokenizerConfig config;

  ChatRenderer(Path directory, TokenizerConfig config) {
    this.directory = directory;
    this.config = config;
  }

  boolean hasTemplate() {
    return !config.chatTemplates().isEmpty();
  }

  String render(List<ChatMessage> messages, ChatOptions options) {
    Objects.requireNonNull(messages, "messages is null");
    Objects.requireNonNull(options, "options is null");
    for (int i = 0; i < messages.size(); i++) {
      Objects.requireNonNull(messages.get(i), "messages[" + i + "] is null");
    }
    throw new UnsupportedRequestException("this build does not render chat templates: " + source(options.template()).length()
        + " characters of template are left alone; generate from text instead");
  }

  private String source(Optional<String> name) {
    Optional<String> source = name.isPresent() ? config.chatTemplate(name.get()) : config.chatTemplate();
    return source.orElseThrow(() -> new UnsupportedRequestException(directory + " has "
        + (hasTemplate() ? "no chat template called '" + name.orElse(TokenizerConfig.DEFAULT_TEMPLATE) + "', only "
            + config.chatTemplates().keySet().stream().sorted().toList()
            : "no chat template; generate from text instead")));
  }
}
