package dev.lanes.format;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Writes a safetensors file. Tensors are added first, their arrays are not copied, and {@link #write} puts them into the file, wider
 * elements first so that each is aligned to its size.
 */
public final class SafetensorsWriter {
  private static final JsonFactory JSON = new JsonFactory();
  private static final int STAGING_BYTES = 1 << 20;
  private static final int ALIGNMENT = 8;

  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final List<Entry> entries = new ArrayList<>();
  private final Set<String> names = new HashSet<>();

  /** Makes a tensor's elements as they are written, so that a large one need not be in memory. */
  @FunctionalInterface
  public interface Source {
    /** Puts elements [from, to) into a little-endian buffer; called with ascending ranges. */
    void put(ByteBuffer out, int from, int to);
  }

  private record Entry(String name, DType dtype, long[] shape, int elements, Source source) {
    long bytes() {
      return (long) elements * dtype.bytes();
    }
  }

  /** Adds a string to the header's {@code __metadata__}. */
  public SafetensorsWriter metadata(String key, String value) {
    metadata.put(key, value);
    return this;
  }

  /**
   * Adds an F32 tensor.
   *
   * @throws IllegalArgumentException if the shape does not have as many elements as {@code data}, or the name is taken
   */
  public SafetensorsWriter add(String name, float[] data, long... shape) {
    return add(name, DType.F32, shape, data.length, (out, from, to) -> {
      for (int i = from; i < to; i++) {
        out.putFloat(data[i]);
      }
    });
  }

  /** Adds an I32 tensor; errors as for floats. */
  public SafetensorsWriter add(String name, int[] data, long... shape) {
    return add(name, DType.I32, shape, data.length, (out, from, to) -> {
      for (int i = from; i < to; i++) {
        out.putInt(data[i]);
      }
    });
  }

  /** Adds an I64 tensor; errors as for floats. */
  public SafetensorsWriter add(String name, long[] data, long... shape) {
    return add(name, DType.I64, shape, data.length, (out, from, to) -> {
      for (int i = from; i < to; i++) {
        out.putLong(data[i]);
      }
    });
  }

  /** Adds a tensor of any type from its little-endian bytes, {@code data}'s position to limit; errors as for floats. */
  public SafetensorsWriter add(String name, DType dtype, ByteBuffer data, long... shape) {
    if (data.remaining() % dtype.bytes() != 0) {
      throw new IllegalArgumentException(name + ": " + data.remaining() + " bytes are no whole number of " + dtype);
    }
    ByteBuffer view = data.slice();
    int size = dtype.bytes();
    return add(name, dtype, shape, view.limit() / size, (out, from, to) -> out.put(view.slice(from * size, (to - from) * size)));
  }

  /**
   * Adds a tensor whose elements are made while the file is written.
   *
   * @throws IllegalArgumentException if the shape has a negative size or more elements than an int can count, or the name is taken
   */
  public SafetensorsWriter add(String name, DType dtype, Source source, long... shape) {
    long elements = elements(name, shape);
    if (elements > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(name + ": the shape has " + elements + " elements, expected at most " + Integer.MAX_VALUE);
    }
    return add(name, dtype, shape, (int) elements, source);
  }

  private static long elements(String name, long[] shape) {
    long elements = 1;
    for (long size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException(name + ": the shape holds the negative size " + size);
      }
      elements = Math.multiplyExact(elements, size);
    }
    return elements;
  }

  private SafetensorsWriter add(String name, DType dtype, long[] shape, int elements, Source source) {
    long expected = elements(name, shape);
    if (expected != elements) {
      throw new IllegalArgumentException(name + ": the shape has " + expected + " elements, the data " + elements);
    }
    if (name.equals("__metadata__") || !names.add(name)) {
      throw new IllegalArgumentException("the name \"" + name + "\" is taken");
    }
    entries.add(new Entry(name, dtype, shape.clone(), elements, source));
    return this;
  }

  /** Writes the file, replacing an older one; a failure leaves the older one as it was. */
  public void write(Path file) throws IOException {
    List<Entry> ordered = new ArrayList<>(entries);
    ordered.sort(Comparator.comparingInt((Entry entry) -> entry.dtype().bytes()).reversed());
    Path folder = file.toAbsolutePath().getParent();
    // Not createTempFile: others shall be able to read the file.
    Path temporary = Files.createFile(folder.resolve(file.getFileName() + "." + UUID.randomUUID() + ".part"));
    try {
      try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
        writeFully(channel, header(ordered));
        ByteBuffer staging = ByteBuffer.allocateDirect(STAGING_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (Entry entry : ordered) {
          int step = STAGING_BYTES / entry.dtype().bytes();
          for (int from = 0; from < entry.elements(); from += Math.min(step, entry.elements() - from)) {
            staging.clear();
            entry.source().put(staging, from, from + Math.min(step, entry.elements() - from));
            writeFully(channel, staging.flip());
          }
        }
      }
      Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private ByteBuffer header(List<Entry> ordered) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = JSON.createGenerator(bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart("__metadata__");
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long offset = 0;
      for (Entry entry : ordered) {
        json.writeObjectFieldStart(entry.name());
        json.writeStringField("dtype", entry.dtype().name());
        json.writeFieldName("shape");
        json.writeArray(entry.shape(), 0, entry.shape().length);
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {offset, offset + entry.bytes()}, 0, 2);
        json.writeEndObject();
        offset += entry.bytes();
      }
      json.writeEndObject();
    }
    while (bytes.size() % ALIGNMENT != 0) {
      bytes.write(' ');
    }
    ByteBuffer header = ByteBuffer.allocate(Long.BYTES + bytes.size()).order(ByteOrder.LITTLE_ENDIAN);
    return header.putLong(bytes.size()).put(bytes.toByteArray()).flip();
  }

  private static void writeFully(FileChannel channel, ByteBuffer data) throws IOException {
    while (data.hasRemaining()) {
      channel.write(data);
    }
  }
}
