package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.format.TokenizerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which of a model's templates renders a chat. */
class ChatRendererTest {
  private static final List<ChatMessage> MESSAGES = List.of(ChatMessage.user("hi"));
  private static final List<Map<String, Object>> TOOLS = List.of(Map.of("name", "clock"));

  @TempDir private Path directory;

  private ChatRenderer renderer(String templates) throws IOException {
    Files.writeString(directory.resolve("tokenizer_config.json"), "{\"chat_template\": " + templates + "}");
    return new ChatRenderer(directory, TokenizerConfig.load(directory));
  }

  @Test
  void toolsChooseTheTemplateMadeForThem() throws IOException {
    ChatRenderer renderer = renderer("""
        [{"name": "default", "template": "plain {{ messages[0].content }}"},
         {"name": "tool_use", "template": "tools {{ tools | length }}"}]""");
    assertThat(renderer.render(MESSAGES, ChatOptions.defaults())).isEqualTo("plain hi");
    assertThat(renderer.render(MESSAGES, ChatOptions.defaults().withTools(TOOLS))).isEqualTo("tools 1");
    assertThat(renderer.render(MESSAGES, ChatOptions.defaults().withTools(TOOLS).withTemplate("default"))).isEqualTo("plain hi");
    assertThatThrownBy(() -> renderer.render(MESSAGES, ChatOptions.defaults().withTemplate("rag")))
        .isInstanceOf(UnsupportedRequestException.class).hasMessageContaining("rag").hasMessageContaining("tool_use");
  }

  @Test
  void aSingleTemplateGetsTheToolsItself() throws IOException {
    ChatRenderer renderer = renderer("\"{% if tools %}{{ tools[0].name }}{% else %}none{% endif %}\"");
    assertThat(renderer.render(MESSAGES, ChatOptions.defaults())).isEqualTo("none");
    assertThat(renderer.render(MESSAGES, ChatOptions.defaults().withTools(TOOLS))).isEqualTo("clock");
  }
}
