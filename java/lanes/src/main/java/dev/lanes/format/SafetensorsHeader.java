package dev.lanes.format;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The JSON header of a safetensors file: an object of tensor names, each with dtype, shape and data_offsets [begin, end) from the end of
 * the header, and a {@code __metadata__} object of strings. The tensors must cover the data exactly, without hole or overlap.
 */
final class SafetensorsHeader {
  private static final String METADATA = "__metadata__";
  private static final int MAX_RANK = 64;

  /** Names are not interned or kept in a symbol table: a header may hold a million, each once. */
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(Json.MAX_DEPTH).maxNumberLength(100).maxNameLength(1 << 20).build())
          .build();

  private final Path file;
  private final long dataOffset;
  private final long dataBytes;
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  /**
   * @param file for messages
   * @param json the header's bytes
   * @param dataOffset where the data begins in the file
   * @param dataBytes how many bytes of data follow
   */
  SafetensorsHeader(Path file, byte[] json, long dataOffset, long dataBytes) {
    this.file = file;
    this.dataOffset = dataOffset;
    this.dataBytes = dataBytes;
    parse(json);
    checkCoverage();
  }

  Map<String, TensorInfo> tensors() {
    return tensors;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  private void parse(byte[] json) {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(json)).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidModelException(file, "header", "is not valid UTF-8", e);
    }
    try (JsonParser parser = JSON.createParser(text)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw invalid("header", "is not a JSON object");
      }
      boolean metadataSeen = false;
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        if (!name.equals(METADATA)) {
          readTensor(parser, name);
        } else if (metadataSeen) {
          throw invalid(METADATA, "appears twice in the header");
        } else {
          metadataSeen = true;
          readMetadata(parser);
        }
      }
      if (parser.nextToken() != null) {
        throw invalid("header", "has text after its JSON object");
      }
    } catch (JsonProcessingException e) {
      String where = Json.where(e.getLocation());
      throw new InvalidModelException(file, "header", "is not valid JSON at " + where + ": " + Json.firstLine(e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new UncheckedIOException("reading from memory cannot fail", e);
    }
  }

  private void readMetadata(JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw invalid(METADATA, "is not an object of strings");
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw invalid(METADATA + "." + shorten(key), "is not a string");
      }
      if (metadata.put(key, parser.getText()) != null) {
        throw invalid(METADATA + "." + shorten(key), "appears twice");
      }
    }
  }

  private void readTensor(JsonParser parser, String name) throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw invalidTensor(name, "is not an object with dtype, shape and data_offsets");
    }
    DType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String field = parser.currentName();
      parser.nextToken();
      boolean twice = false;
      switch (field) {
        case "dtype" -> {
          twice = dtype != null;
          dtype = readDtype(parser, name);
        }
        case "shape" -> {
          twice = shape != null;
          shape = readNumbers(parser, name, field);
        }
        case "data_offsets" -> {
          twice = offsets != null;
          offsets = readNumbers(parser, name, field);
        }
        default -> throw invalidTensor(name, "has an unknown field \"" + shorten(field) + "\"; expected dtype, shape, data_offsets");
      }
      if (twice) {
        throw invalidTensor(name, "has " + field + " twice");
      }
    }
    if (dtype == null || shape == null || offsets == null) {
      throw invalidTensor(name, "has no " + (dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
    }
    if (tensors.put(name, checked(name, dtype, shape, offsets)) != null) {
      throw invalidTensor(name, "appears twice in the header");
    }
  }

  private DType readDtype(JsonParser parser, String name) throws IOException {
    if (parser.currentToken() != JsonToken.VALUE_STRING) {
      throw invalidTensor(name, "has a dtype that is not a string");
    }
    String text = parser.getText();
    Optional<DType> dtype = DType.ofSafetensors(text);
    if (dtype.isEmpty()) {
      throw new UnsupportedModelException(
          file, item(name), "has the unknown dtype \"" + shorten(text) + "\"; known: " + Arrays.toString(DType.values()));
    }
    return dtype.get();
  }

  /** A list of whole numbers from 0 to 2^63 - 1. */
  private long[] readNumbers(JsonParser parser, String name, String field) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw invalidTensor(name, "has a " + field + " that is not a list of whole numbers");
    }
    long[] numbers = new long[4];
    int count = 0;
    for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
      if (token != JsonToken.VALUE_NUMBER_INT) {
        throw invalidTensor(name, "has a " + field + " with " + (token == null ? "no end" : shorten(parser.getText()))
            + " in it, expected whole numbers");
      }
      if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
        throw invalidTensor(name, "has a " + field + " with " + shorten(parser.getText()) + " in it, which overflows 64 bits");
      }
      long number = parser.getLongValue();
      if (number < 0) {
        throw invalidTensor(name, "has a " + field + " with the negative number " + number + " in it");
      }
      if (count == MAX_RANK) {
        throw invalidTensor(name, "has a " + field + " of more than " + MAX_RANK + " numbers");
      }
      if (count == numbers.length) {
        numbers = Arrays.copyOf(numbers, 2 * count);
      }
      numbers[count++] = number;
    }
    return Arrays.copyOf(numbers, count);
  }

  private TensorInfo checked(String name, DType dtype, long[] shape, long[] offsets) {
    if (offsets.length != 2) {
      throw invalidTensor(name, "has " + offsets.length + " data_offsets, expected [begin, end]");
    }
    long begin = offsets[0];
    long end = offsets[1];
    if (begin > end) {
      throw invalidTensor(name, "has data_offsets that begin at " + begin + ", after their end " + end);
    }
    if (end > dataBytes) {
      throw invalidTensor(name, "has data_offsets that end at " + end + ", but the file holds " + dataBytes + " bytes of data");
    }
    long bytes = bytesOf(name, dtype, shape);
    if (bytes != end - begin) {
      throw invalidTensor(
          name, dtype + " " + Arrays.toString(shape) + " needs " + bytes + " bytes, but data_offsets span " + (end - begin));
    }
    return new TensorInfo(name, dtype, shape, dataOffset + begin, bytes);
  }

  private long bytesOf(String name, DType dtype, long[] shape) {
    try {
      long bytes = dtype.bytes();
      for (long size : shape) {
        bytes = Math.multiplyExact(bytes, size);
      }
      return bytes;
    } catch (ArithmeticException e) {
      throw invalidTensor(name, "has shape " + Arrays.toString(shape) + " of " + dtype + ", whose size in bytes overflows 64 bits");
    }
  }

  private void checkCoverage() {
    List<TensorInfo> byOffset = new ArrayList<>(tensors.values());
    byOffset.sort(Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::bytes));
    long end = dataOffset;
    TensorInfo before = null;
    for (TensorInfo tensor : byOffset) {
      if (tensor.offset() < end) {
        throw invalidTensor(tensor.name(), "overlaps " + item(before.name()) + " by " + (end - tensor.offset()) + " bytes");
      }
      if (tensor.offset() > end) {
        throw invalidTensor(tensor.name(), "begins after a hole of " + (tensor.offset() - end) + " bytes that belong to no tensor");
      }
      end += tensor.bytes();
      before = tensor;
    }
    if (end != dataOffset + dataBytes) {
      throw invalid("data", "has " + (dataOffset + dataBytes - end) + " trailing bytes that belong to no tensor");
    }
  }

  private InvalidModelException invalid(String item, String problem) {
    return new InvalidModelException(file, item, problem);
  }

  private InvalidModelException invalidTensor(String name, String problem) {
    return invalid(item(name), problem);
  }

  private static String item(String tensor) {
    return "tensor \"" + shorten(tensor) + "\"";
  }

  private static String shorten(String text) {
    return text.length() > 200 ? text.substring(0, 197) + "..." : text;
  }
}
