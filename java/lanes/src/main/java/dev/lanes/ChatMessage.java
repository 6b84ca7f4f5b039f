package dev.lanes;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * A message of a chat.
 *
 * @param role {@code system}, {@code user}, {@code assistant}, {@code tool}, or whatever the model's template knows
 * @param content its text
 * @param fields further fields that the template may read, such as {@code tool_calls}; JSON-like values: strings, numbers, booleans,
 *     lists, maps
 */
public record ChatMessage(String role, String content, Map<String, Object> fields) {
  public ChatMessage {
    Objects.requireNonNull(role, "role is null");
    Objects.requireNonNull(content, "content is null");
    Objects.requireNonNull(fields, "fields is null");
    // Templates print maps in the order given, and a JSON null is a value.
    fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
  }

  public ChatMessage(String role, String content) {
    this(role, content, Map.of());
  }

  public static ChatMessage system(String content) {
    return new ChatMessage("system", content);
  }

  public static ChatMessage user(String content) {
    return new ChatMessage("user", content);
  }

  public static ChatMessage assistant(String content) {
    return new ChatMessage("assistant", content);
  }

  /** The message as templates see it: {@code role}, {@code content}, then the further fields. */
  Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("role", role);
    map.put("content", content);
    map.putAll(fields);
    return map;
  }
}
