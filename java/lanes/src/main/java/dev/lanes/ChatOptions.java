package dev.lanes;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * How messages are rendered with a model's chat template.
 *
 * @param template which of its templates ({@code tool_use} …); empty for the default one
 * @param addGenerationPrompt whether the text ends with the opening of the assistant's answer
 * @param tools descriptions of tools that the model may call, as JSON-like maps
 * @param variables further variables that the template may read
 */
public record ChatOptions(Optional<String> template, boolean addGenerationPrompt, List<Map<String, Object>> tools,
    Map<String, Object> variables) {
  private static final ChatOptions DEFAULTS = new ChatOptions(Optional.empty(), true, List.of(), Map.of());

  public ChatOptions {
    Objects.requireNonNull(template, "template is null");
    Objects.requireNonNull(tools, "tools is null");
    Objects.requireNonNull(variables, "variables is null");
    tools = List.copyOf(tools);
    variables = Collections.unmodifiableMap(new LinkedHashMap<>(variables));
  }

  /** The default template, an open answer, no tools. */
  public static ChatOptions defaults() {
    return DEFAULTS;
  }

  public ChatOptions withTools(List<Map<String, Object>> value) {
    return new ChatOptions(template, addGenerationPrompt, value, variables);
  }

  public ChatOptions withAddGenerationPrompt(boolean value) {
    return new ChatOptions(template, value, tools, variables);
  }

  public ChatOptions withTemplate(String value) {
    return new ChatOptions(Optional.of(Objects.requireNonNull(value, "template is null")), addGenerationPrompt, tools, variables);
  }

  public ChatOptions withVariables(Map<String, Object> value) {
    return new ChatOptions(template, addGenerationPrompt, tools, value);
  }
}
