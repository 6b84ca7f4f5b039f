package dev.lanes.format;

import dev.lanes.error.InvalidModelException;
import dev.lanes.error.LanesException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One safetensors file, open for reading: 8 bytes little-endian header length, a JSON header, the data. It is read through a channel,
 * never mapped: a mapped file that is truncated while in use kills the JVM. Safe for use by several threads at once.
 */
public final class SafetensorsFile implements AutoCloseable {
  /** Longest header that is accepted, as in the reference implementation. */
  public static final int MAX_HEADER_BYTES = 100_000_000;

  private static final int LENGTH_BYTES = 8;
  private static final int HEADER_CHUNK = 1 << 20;

  private final Path path;
  private final FileChannel channel;
  private final Map<String, TensorInfo> tensors;
  private final Map<String, String> metadata;
  private final List<TensorInfo> ordered;

  private SafetensorsFile(Path path, FileChannel channel, SafetensorsHeader header) {
    this.path = path;
    this.channel = channel;
    this.tensors = header.tensors();
    this.metadata = Collections.unmodifiableMap(header.metadata());
    this.ordered = List.copyOf(header.tensors().values());
  }

  /**
   * Opens a file and validates all of its header.
   *
   * @throws InvalidModelException if it is missing or damaged
   * @throws dev.lanes.error.UnsupportedModelException if a tensor has an unknown element type
   */
  public static SafetensorsFile open(Path path) {
    if (!Files.isRegularFile(path)) {
      throw new InvalidModelException(path, "", Files.exists(path) ? "is not a regular file" : "is missing");
    }
    FileChannel channel;
    try {
      channel = FileChannel.open(path, StandardOpenOption.READ);
    } catch (IOException e) {
      throw new InvalidModelException(path, "", "cannot be opened: " + IoFailure.why(e), e);
    }
    try {
      return new SafetensorsFile(path, channel, readHeader(path, channel));
    } catch (RuntimeException | Error e) {
      closeQuietly(channel, e);
      throw e;
    } catch (IOException e) {
      InvalidModelException failure = new InvalidModelException(path, "header", "cannot be read: " + IoFailure.why(e), e);
      closeQuietly(channel, failure);
      throw failure;
    }
  }

  private static SafetensorsHeader readHeader(Path path, FileChannel channel) throws IOException {
    long size = channel.size();
    if (size < LENGTH_BYTES) {
      throw new InvalidModelException(path, "header", "the file has " + size + " bytes, too short for the 8 bytes of the header length");
    }
    ByteBuffer prefix = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readFully(channel, prefix, 0);
    long length = prefix.flip().getLong();
    if (length < 0 || length > MAX_HEADER_BYTES) {
      throw new InvalidModelException(
          path, "header", "has a length of " + Long.toUnsignedString(length) + " bytes, expected at most " + MAX_HEADER_BYTES);
    }
    if (length > size - LENGTH_BYTES) {
      throw new InvalidModelException(
          path, "header", "has a length of " + length + " bytes, but the file holds " + (size - LENGTH_BYTES) + " after the length");
    }
    byte[] json = new byte[(int) length];
    // A channel copies through a direct buffer as large as the array it reads into, so read in pieces.
    for (int from = 0; from < json.length; from += HEADER_CHUNK) {
      readFully(channel, ByteBuffer.wrap(json, from, Math.min(HEADER_CHUNK, json.length - from)), LENGTH_BYTES + from);
    }
    return new SafetensorsHeader(path, json, LENGTH_BYTES + length, size - LENGTH_BYTES - length);
  }

  public Path path() {
    return path;
  }

  /** All tensors, in the order of the header. */
  public List<TensorInfo> tensors() {
    return ordered;
  }

  public Optional<TensorInfo> find(String name) {
    return Optional.ofNullable(tensors.get(name));
  }

  /**
   * The tensor of this name.
   *
   * @throws InvalidModelException if there is none
   */
  public TensorInfo tensor(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      throw new InvalidModelException(path, "tensor \"" + name + "\"", "is missing");
    }
    return tensor;
  }

  /** The header's {@code __metadata__}, empty where it has none. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /**
   * Reads {@code dst.remaining()} bytes of a tensor, from {@code byteOffset} within it on.
   *
   * @throws IndexOutOfBoundsException if that reaches past the tensor
   * @throws InvalidModelException if the file has changed or cannot be read
   * @throws IllegalStateException if this file is closed
   */
  public void read(TensorInfo tensor, long byteOffset, ByteBuffer dst) {
    if (byteOffset < 0 || byteOffset > tensor.bytes() - dst.remaining()) {
      throw new IndexOutOfBoundsException(
          dst.remaining() + " bytes at " + byteOffset + " reach outside of tensor \"" + tensor.name() + "\" of " + tensor.bytes());
    }
    try {
      readFully(channel, dst, tensor.offset() + byteOffset);
    } catch (ClosedByInterruptException e) {
      throw new LanesException(path + ": reading was interrupted", e);
    } catch (ClosedChannelException e) {
      throw new IllegalStateException(path + " is closed", e);
    } catch (IOException e) {
      throw new InvalidModelException(path, "tensor \"" + tensor.name() + "\"", "cannot be read: " + IoFailure.why(e), e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new LanesException(path + ": cannot be closed: " + e.getMessage(), e);
    }
  }

  private static void readFully(FileChannel channel, ByteBuffer dst, long position) throws IOException {
    long at = position;
    while (dst.hasRemaining()) {
      int count = channel.read(dst, at);
      if (count < 0) {
        throw new IOException("the file ends at byte " + at + ", it has been cut since it was opened");
      }
      at += count;
    }
  }

  private static void closeQuietly(FileChannel channel, Throwable cause) {
    try {
      channel.close();
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }
}
