package dev.lanes.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lanes.needle.NeedleText;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Reads a needle of the user's own. */
final class NeedleFile {
  private NeedleFile() {}

  static NeedleText read(String option, Path file, String haystack) {
    JsonNode json;
    try {
      json = new ObjectMapper().readTree(TextFiles.read(option, file));
    } catch (JsonProcessingException e) {
      throw new ExitCode.UserError(option + ": " + file + " is not JSON: " + e.getOriginalMessage(), e);
    }
    JsonNode keys = json.path("keys");
    List<String> names = new ArrayList<>();
    keys.forEach(key -> names.add(key.isTextual() ? key.textValue() : ""));
    try {
      return new NeedleText(haystack, text(json, "needle"), text(json, "completion"), text(json, "question"), names);
    } catch (IllegalArgumentException e) {
      throw new ExitCode.UserError(option + ": " + file + ": " + e.getMessage(), e);
    }
  }

  private static String text(JsonNode json, String field) {
    JsonNode value = json.path(field);
    if (!value.isTextual()) {
      throw new IllegalArgumentException(field + " is " + (value.isMissingNode() ? "missing" : value) + ", expected a string");
    }
    return value.textValue();
  }
}
