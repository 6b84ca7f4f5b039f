package dev.lanes.token.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lanes.error.LanesException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;

/** Renderings byte for byte as Jinja2 makes them in the environment of Hugging Face; what fails there fails here. */
class ReferenceRenderingTest {
  private static final List<String> SPECIAL_TOKENS = List.of("bos_token", "eos_token", "unk_token", "pad_token");

  private final JsonNode golden = ChatTemplates.read(ChatTemplates.root().resolve("tests/golden/templates.json"));
  private final Clock clock = ChatTemplates.clockAt(golden.get("now").asText());

  @TestFactory
  List<DynamicTest> snippets() {
    List<Map<String, Object>> messages = ChatTemplates.messages(golden.get("messages"));
    Map<String, Object> values = ChatTemplates.map(golden.get("values"));
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode snippet : golden.get("snippets")) {
      String source = snippet.get("source").asText();
      tests.add(dynamicTest(source, check(source, messages, values, snippet.get("expected"))));
    }
    return tests;
  }

  @TestFactory
  List<DynamicTest> wholeTemplates() {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode rendering : golden.get("renderings")) {
      String template = rendering.get("template").asText();
      String name = rendering.get("conversation").asText();
      JsonNode conversation = golden.get("conversations").get(name);
      Map<String, Object> variables = new HashMap<>(Map.of("bos_token", "<s>", "eos_token", "</s>"));
      variables.putAll(ChatTemplates.map(conversation.get("variables")));
      tests.add(dynamicTest(template + ": " + name, check(golden.get("templates").get(template).asText(),
          ChatTemplates.messages(conversation.get("messages")), variables, rendering.get("expected"))));
    }
    return tests;
  }

  private Executable check(String source, List<Map<String, Object>> messages, Map<String, Object> variables, JsonNode expected) {
    return () -> {
      if (expected.isNull()) {
        assertThatThrownBy(() -> ChatTemplate.compile(source, ChatTemplates.FILE).withClock(clock).render(messages, variables))
            .isInstanceOf(LanesException.class).hasMessageStartingWith("tokenizer_config.json: chat_template line ");
      } else {
        ChatTemplate template = ChatTemplate.compile(source, ChatTemplates.FILE).withClock(clock);
        assertThat(template.render(messages, variables)).isEqualTo(expected.asText());
        assertThat(template.render(messages, variables)).as("rendered again").isEqualTo(expected.asText());
      }
    };
  }

  @TestFactory
  List<DynamicTest> templatesOfRealModels() {
    JsonNode cases = ChatTemplates.read(ChatTemplates.shared("tokenizers/chat-cases.json"));
    Map<String, JsonNode> configs = Map.of(
        "minimind2-small", ChatTemplates.read(ChatTemplates.shared("models/minimind2-small/tokenizer_config.json")),
        "qwen2_5", ChatTemplates.read(ChatTemplates.shared("tokenizers/qwen2_5/tokenizer_config.json")));
    return StreamSupport.stream(cases.spliterator(), false).map(given -> {
      JsonNode config = configs.get(given.get("tokenizer").asText());
      Map<String, Object> variables = new HashMap<>();
      SPECIAL_TOKENS.stream().filter(config::hasNonNull).forEach(token -> variables.put(token, config.get(token).asText()));
      variables.put("add_generation_prompt", given.get("add_generation_prompt").asBoolean());
      variables.put("tools", given.get("tools").isNull() ? null : ChatTemplates.messages(given.get("tools")));
      return dynamicTest(given.get("tokenizer").asText() + ": " + given.get("case").asText(),
          check(config.get("chat_template").asText(), ChatTemplates.messages(given.get("messages")), variables, given.get("expected")));
    }).toList();
  }

  @Test
  void theGoldenFileIsWhatItShouldBe() {
    assertThat(golden.get("snippets").size()).isGreaterThan(300);
    assertThat(golden.get("renderings").size()).isGreaterThan(100);
    assertThat(golden.get("jinja2").asText()).startsWith("3.1.");
  }
}
