package dev.lanes.format;

import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The JSON header of a safetensors file: an object of tensor names, each with dtype, shape and data_offsets [begin, end) from the end of
 * the header, and a {@code __metadata__} object of strings. The tensors must cover the data exactly, without hole or overlap.
 */
final class SafetensorsHeader {
  private static final String METADATA = "__metadata__";
  private static final int MAX_RANK = 64;

  /** The largest mixtures of experts have about as many, spread over a hundred files. */
  private static final int MAX_TENSORS = 1 << 17;

  private static final Map<String, DType> DTYPES =
      Arrays.stream(DType.values()).collect(Collectors.toUnmodifiableMap(DType::name, type -> type));

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
    HeaderScanner scanner = new HeaderScanner(file, json);
    boolean metadataSeen = false;
    scanner.expect('{');
    for (boolean first = true; scanner.more(first, '}'); first = false) {
      String name = scanner.key();
      if (!name.equals(METADATA)) {
        readTensor(scanner, name);
      } else if (metadataSeen) {
        throw invalid(METADATA, "appears twice in the header");
      } else {
        metadataSeen = true;
        readMetadata(scanner);
      }
    }
    if (scanner.peek() != -1) {
      throw scanner.unexpected("expected nothing behind the JSON object");
    }
  }

  private void readMetadata(HeaderScanner scanner) {
    if (!scanner.accept('{')) {
      throw invalid(METADATA, "is not an object of strings");
    }
    for (boolean first = true; scanner.more(first, '}'); first = false) {
      String key = scanner.key();
      if (scanner.peek() != '"') {
        throw invalid(METADATA + "." + shorten(key), "is not a string");
      }
      if (metadata.put(key, scanner.string()) != null) {
        throw invalid(METADATA + "." + shorten(key), "appears twice");
      }
    }
  }

  private void readTensor(HeaderScanner scanner, String name) {
    if (!scanner.accept('{')) {
      throw invalidTensor(name, "is not an object with dtype, shape and data_offsets");
    }
    DType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    for (boolean first = true; scanner.more(first, '}'); first = false) {
      String field = scanner.key();
      boolean twice;
      switch (field) {
        case "dtype" -> {
          twice = dtype != null;
          dtype = readDtype(scanner, name);
        }
        case "shape" -> {
          twice = shape != null;
          shape = readNumbers(scanner, name, field);
        }
        case "data_offsets" -> {
          twice = offsets != null;
          offsets = readNumbers(scanner, name, field);
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
    if (tensors.size() == MAX_TENSORS) {
      throw new UnsupportedModelException(
          file, item(name), "is one of more than " + MAX_TENSORS + " tensors, the most that one file may hold");
    }
    if (tensors.put(name, checked(name, dtype, shape, offsets)) != null) {
      throw invalidTensor(name, "appears twice in the header");
    }
  }

  private DType readDtype(HeaderScanner scanner, String name) {
    if (scanner.peek() != '"') {
      throw invalidTensor(name, "has a dtype that is not a string");
    }
    String text = scanner.string();
    DType dtype = DTYPES.get(text);
    if (dtype == null) {
      throw new UnsupportedModelException(
          file, item(name), "has the unknown dtype \"" + shorten(text) + "\"; known: " + Arrays.toString(DType.values()));
    }
    return dtype;
  }

  /** A list of whole numbers from 0 to 2^63 - 1. */
  private long[] readNumbers(HeaderScanner scanner, String name, String field) {
    if (!scanner.accept('[')) {
      throw invalidTensor(name, "has a " + field + " that is not a list of whole numbers");
    }
    long[] numbers = new long[4];
    int count = 0;
    for (boolean first = true; scanner.more(first, ']'); first = false) {
      String odd = scanner.isNumber() ? scanner.oddNumber() : "something else";
      if (odd != null) {
        throw invalidTensor(name, "has a " + field + " with " + odd + " in it, expected whole numbers from 0 to 2^63 - 1");
      }
      if (count == MAX_RANK) {
        throw invalidTensor(name, "has a " + field + " of more than " + MAX_RANK + " numbers");
      }
      if (count == numbers.length) {
        numbers = Arrays.copyOf(numbers, 2 * count);
      }
      numbers[count++] = scanner.number();
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
