package dev.lanes.token.template;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;

/** What the tests of chat templates share. */
final class ChatTemplates {
  static final Path FILE = Path.of("tokenizer_config.json");

  private static final ObjectMapper JSON = new ObjectMapper();

  private ChatTemplates() {}

  static String render(String source) {
    return render(source, Map.of());
  }

  static String render(String source, Map<String, ?> variables) {
    return ChatTemplate.compile(source, FILE).render(List.of(), variables);
  }

  /** A clock that shows the same date and time in its own zone forever. */
  static Clock clockAt(String dateTime) {
    return Clock.fixed(LocalDateTime.parse(dateTime).toInstant(ZoneOffset.UTC), ZoneOffset.UTC);
  }

  static JsonNode read(Path file) {
    try {
      return JSON.readTree(file.toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @SuppressWarnings("unchecked")
  static Map<String, Object> map(JsonNode node) {
    return JSON.convertValue(node, Map.class);
  }

  @SuppressWarnings("unchecked")
  static List<Map<String, Object>> messages(JsonNode node) {
    return JSON.convertValue(node, List.class);
  }

  static Path root() {
    return Path.of(System.getProperty("lanes.root", "."));
  }

  /** A file of the test data that lies beside the project; the test is skipped where it is missing. */
  static Path shared(String name) {
    String given = System.getenv("LANES_SHARED");
    Path file = (given != null ? Path.of(given) : root().resolve("../shared")).resolve(name).normalize();
    assumeTrue(Files.exists(file), () -> file + " is missing: set LANES_SHARED to the folder of shared test data");
    return file;
  }
}
