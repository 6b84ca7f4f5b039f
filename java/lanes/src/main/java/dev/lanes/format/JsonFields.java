package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** Typed access to the fields of a JSON object; every refusal names the file and the field. */
final class JsonFields {
  private final Path file;
  private final String prefix;
  private final ObjectNode node;

  JsonFields(Path file, ObjectNode node) {
    this(file, "", node);
  }

  private JsonFields(Path file, String prefix, ObjectNode node) {
    this.file = file;
    this.prefix = prefix;
    this.node = node;
  }

  Path file() {
    return file;
  }

  InvalidModelException invalid(String field, String problem) {
    return new InvalidModelException(file, prefix + field, problem);
  }

  UnsupportedModelException unsupported(String field, String problem) {
    return new UnsupportedModelException(file, prefix + field, problem);
  }

  /** Whether the field is there and not null. */
  boolean has(String field) {
    return node.hasNonNull(field);
  }

  /** Whether the field is there, be it null. */
  boolean mentions(String field) {
    return node.has(field);
  }

  boolean isEmpty() {
    return node.isEmpty();
  }

  List<String> names() {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  /** The raw value, or null. */
  JsonNode raw(String field) {
    return node.get(field);
  }

  /** The full name of a field, as messages have it. */
  String path(String field) {
    return prefix + field;
  }

  /** The elements of a list; none when the field is absent or null. */
  List<JsonNode> elements(String field) {
    if (!has(field)) {
      return List.of();
    }
    if (!node.get(field).isArray()) {
      throw invalid(field, "is " + Json.show(node.get(field)) + ", expected a list");
    }
    List<JsonNode> list = new ArrayList<>();
    node.get(field).forEach(list::add);
    return list;
  }

  /** A whole number in [min, max]; {@code fallback} when the field is absent, a refusal when it is null. */
  int integer(String field, int fallback, int min, int max) {
    return node.has(field) ? integer(field, node.get(field), min, max) : fallback;
  }

  /** A whole number in [min, max]; empty when the field is absent or null. */
  OptionalInt optionalInteger(String field, int min, int max) {
    return has(field) ? OptionalInt.of(integer(field, node.get(field), min, max)) : OptionalInt.empty();
  }

  /** A whole number or a list of them, each in [min, max]; empty when the field is absent or null. */
  List<Integer> integers(String field, int min, int max) {
    if (!has(field)) {
      return List.of();
    }
    JsonNode value = node.get(field);
    if (!value.isArray()) {
      return List.of(integer(field, value, min, max));
    }
    List<Integer> list = new ArrayList<>();
    for (int i = 0; i < value.size(); i++) {
      list.add(integer(field + "[" + i + "]", value.get(i), min, max));
    }
    return list;
  }

  /** A list of exactly {@code count} strings. */
  List<String> strings(String field, int count) {
    JsonNode value = node.get(field);
    if (!value.isArray() || value.size() != count) {
      throw invalid(field, "is " + Json.show(value) + ", expected a list of " + count + " strings");
    }
    List<String> list = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (!value.get(i).isTextual()) {
        throw invalid(field + "[" + i + "]", "is " + Json.show(value.get(i)) + ", expected a string");
      }
      list.add(value.get(i).textValue());
    }
    return list;
  }

  /** A number above {@code lowest} and at most {@code highest}; {@code fallback} when the field is absent, a refusal when it is null. */
  double number(String field, double fallback, double lowest, double highest) {
    return node.has(field) ? number(field, node.get(field), lowest, highest) : fallback;
  }

  /** As {@link #number}, but empty when the field is absent or null; the lower bound itself is allowed where {@code inclusive}. */
  OptionalDouble optionalNumber(String field, double lowest, double highest, boolean inclusive) {
    if (!has(field)) {
      return OptionalDouble.empty();
    }
    JsonNode value = node.get(field);
    if (inclusive && value.isNumber() && value.doubleValue() == lowest) {
      return OptionalDouble.of(lowest);
    }
    return OptionalDouble.of(number(field, value, lowest, highest));
  }

  /** A boolean; {@code fallback} when the field is absent or null. */
  boolean bool(String field, boolean fallback) {
    return optionalBool(field).orElse(fallback);
  }

  Optional<Boolean> optionalBool(String field) {
    if (!has(field)) {
      return Optional.empty();
    }
    JsonNode value = node.get(field);
    if (!value.isBoolean()) {
      throw invalid(field, "is " + Json.show(value) + ", expected true or false");
    }
    return Optional.of(value.booleanValue());
  }

  /** A string; empty when the field is absent or null. */
  Optional<String> text(String field) {
    if (!has(field)) {
      return Optional.empty();
    }
    JsonNode value = node.get(field);
    if (!value.isTextual()) {
      throw invalid(field, "is " + Json.show(value) + ", expected a string");
    }
    return Optional.of(value.textValue());
  }

  /** An object; empty when the field is absent or null. */
  Optional<JsonFields> object(String field) {
    if (!has(field)) {
      return Optional.empty();
    }
    if (!(node.get(field) instanceof ObjectNode object)) {
      throw invalid(field, "is " + Json.show(node.get(field)) + ", expected an object");
    }
    return Optional.of(child(field, object));
  }

  /** The fields of an object found under {@code field}. */
  JsonFields child(String field, ObjectNode object) {
    return new JsonFields(file, prefix + field + ".", object);
  }

  private int integer(String field, JsonNode value, int min, int max) {
    if (!value.isIntegralNumber()) {
      throw invalid(field, "is " + Json.show(value) + ", expected a whole number");
    }
    if (!value.canConvertToInt() || value.intValue() < min || value.intValue() > max) {
      throw invalid(field, "is " + Json.show(value) + ", expected " + min + " to " + max);
    }
    return value.intValue();
  }

  private double number(String field, JsonNode value, double lowest, double highest) {
    if (!value.isNumber()) {
      throw invalid(field, "is " + Json.show(value) + ", expected a number");
    }
    double number = value.doubleValue();
    if (!(number > lowest && number <= highest)) {
      throw invalid(field, "is " + Json.show(value) + ", expected a number above " + lowest + " and at most " + highest);
    }
    return number;
  }
}
