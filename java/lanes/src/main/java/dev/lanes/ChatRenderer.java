package dev.lanes;

import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.format.TokenizerConfig;
import dev.lanes.token.template.ChatTemplate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** A model's chat templates, compiled when first used: a template that Lanes refuses does not keep its model from running. */
final class ChatRenderer {
  private static final String TOOL_TEMPLATE = "tool_use";

  private final Path directory;
  private final TokenizerConfig config;
  private final Map<String, ChatTemplate> compiled = new ConcurrentHashMap<>();

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
    Path own = directory.resolve("chat_template.jinja");
    Optional<String> name = templateName(options);
    Path file = name.isEmpty() && Files.exists(own) ? own : directory.resolve("tokenizer_config.json");
    ChatTemplate template = compiled.computeIfAbsent(source(name), source -> ChatTemplate.compile(source, file));
    return template.render(messages.stream().map(ChatMessage::toMap).toList(), variables(options));
  }

  /** Among several templates, tools choose the one made for them, as in Hugging Face. */
  private Optional<String> templateName(ChatOptions options) {
    boolean forTools = options.template().isEmpty() && !options.tools().isEmpty() && config.chatTemplates().containsKey(TOOL_TEMPLATE);
    return forTools ? Optional.of(TOOL_TEMPLATE) : options.template();
  }

  private String source(Optional<String> name) {
    Optional<String> source = name.isPresent() ? config.chatTemplate(name.get()) : config.chatTemplate();
    return source.orElseThrow(() -> new UnsupportedRequestException(directory + " has "
        + (hasTemplate() ? "no chat template called '" + name.orElse(TokenizerConfig.DEFAULT_TEMPLATE) + "', only "
            + config.chatTemplates().keySet().stream().sorted().toList()
            : "no chat template; generate from text instead")));
  }

  /** What Hugging Face passes to a template beside the messages: special tokens by role, tools, and what the caller adds. */
  private Map<String, Object> variables(ChatOptions options) {
    Map<String, Object> variables = new LinkedHashMap<>(config.specialTokens());
    if (!options.tools().isEmpty()) {
      variables.put("tools", options.tools());
    }
    variables.put("add_generation_prompt", options.addGenerationPrompt());
    variables.putAll(options.variables());
    return variables;
  }
}
