package dev.lanes.format;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.InvalidModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reading of untrusted JSON: bounded in size and depth, strict UTF-8, no key twice. */
public final class Json {
  /** Deeper than any model file, shallow enough for every stack. */
  static final int MAX_DEPTH = 100;

  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              com.fasterxml.jackson.core.JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(MAX_DEPTH)
                          .maxNumberLength(400)
                          .maxStringLength(64 << 20)
                          .maxNameLength(1 << 20)
                          .build())
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          // Python writes NaN and Infinity; a field that holds one is then refused by name.
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  /**
   * Reads a file that must hold one JSON object.
   *
   * @param maxBytes larger files are refused unread
   * @throws InvalidModelException if the file is missing, too large, not UTF-8, not JSON, or not an object
   */
  public static ObjectNode readObject(Path file, long maxBytes) {
    JsonNode node = parse(file, readText(file, maxBytes));
    if (!(node instanceof ObjectNode object)) {
      throw new InvalidModelException(file, "", "holds a JSON " + kind(node) + ", expected an object");
    }
    return object;
  }

  /** A file's text; errors as {@link #readObject}. */
  public static String readText(Path file, long maxBytes) {
    byte[] bytes;
    try {
      if (!Files.isRegularFile(file)) {
        throw new InvalidModelException(file, "", Files.exists(file) ? "is not a regular file" : "is missing");
      }
      long size = Files.size(file);
      if (size > maxBytes) {
        throw new InvalidModelException(file, "", "has " + size + " bytes, expected at most " + maxBytes);
      }
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new InvalidModelException(file, "", "cannot be read: " + IoFailure.why(e), e);
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidModelException(file, "", "is not valid UTF-8", e);
    }
  }

  /** Writes maps, lists, strings and numbers, or a tree, as indented JSON. */
  public static void write(Path file, Object value) throws IOException {
    Files.write(file, MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(value));
  }

  /** Parses text that came from {@code file}. */
  static JsonNode parse(Path file, String text) {
    try {
      JsonNode node = MAPPER.readTree(text);
      if (node.isMissingNode()) {
        throw new InvalidModelException(file, "", "is empty, expected a JSON object");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new InvalidModelException(file, where(e.getLocation()), "is not valid JSON: " + firstLine(e.getOriginalMessage()), e);
    }
  }

  /** What a value is, in words. */
  static String kind(JsonNode node) {
    return switch (node.getNodeType()) {
      case ARRAY -> "list";
      case OBJECT -> "object";
      case BOOLEAN -> "boolean";
      case NUMBER -> "number";
      case STRING -> "string";
      case NULL -> "null";
      default -> "value";
    };
  }

  /** A value as it may stand in a message: cut where long. */
  static String show(JsonNode node) {
    if (node.isContainerNode()) {
      return (node.isArray() ? "a list of " : "an object of ") + node.size();
    }
    String text = node.toString();
    return text.length() > 80 ? text.substring(0, 77) + "..." : text;
  }

  static String where(JsonLocation location) {
    return location == null ? "" : "line " + location.getLineNr() + ", column " + location.getColumnNr();
  }

  static String firstLine(String message) {
    String line = message.lines().findFirst().orElse("");
    return line.length() > 200 ? line.substring(0, 197) + "..." : line;
  }
}
