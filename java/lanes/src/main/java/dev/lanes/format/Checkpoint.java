package dev.lanes.format;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The weights of a model directory: {@code model.safetensors}, or the shards that {@code model.safetensors.index.json} lists, or the only
 * {@code *.safetensors} there. Everything is validated on opening; tensors are read on demand. Safe for use by several threads at once.
 */
public final class Checkpoint implements AutoCloseable {

  /** Receives a tensor piece by piece. */
  @FunctionalInterface
  public interface ChunkConsumer {
    /**
     * @param offset where the chunk begins, in bytes from the start of the tensor
     * @param chunk the bytes, little-endian, from position to limit; valid only during the call
     */
    void accept(long offset, ByteBuffer chunk);
  }

  private Checkpoint() {}

  /**
   * Opens the weights of a model directory.
   *
   * @throws dev.lanes.error.InvalidModelException if there are none, or a file is damaged, missing or contradicts another
   */
  public static Checkpoint open(Path directory) {
    throw new UnsupportedOperationException();
  }

  /** Names of all tensors: in file order, shards in order of their names. */
  public List<String> names() {
    throw new UnsupportedOperationException();
  }

  /** All tensors, in the order of {@link #names()}. */
  public List<TensorInfo> tensors() {
    throw new UnsupportedOperationException();
  }

  public boolean contains(String name) {
    throw new UnsupportedOperationException();
  }

  public Optional<TensorInfo> find(String name) {
    throw new UnsupportedOperationException();
  }

  /**
   * The tensor of this name.
   *
   * @throws dev.lanes.error.InvalidModelException if there is none
   */
  public TensorInfo tensor(String name) {
    throw new UnsupportedOperationException();
  }

  /** The file that holds a tensor, for messages; the checkpoint's main file or index when there is no such tensor. */
  public Path fileOf(String name) {
    throw new UnsupportedOperationException();
  }

  /** Sum of the sizes of all tensors in bytes. */
  public long totalBytes() {
    throw new UnsupportedOperationException();
  }

  /** The {@code __metadata__} of the files, merged. */
  public Map<String, String> metadata() {
    throw new UnsupportedOperationException();
  }

  /**
   * Reads {@code dst.remaining()} bytes of a tensor, from {@code byteOffset} on.
   *
   * @throws IndexOutOfBoundsException if that reaches past the tensor
   * @throws dev.lanes.error.InvalidModelException if the file has changed or cannot be read
   */
  public void read(TensorInfo tensor, long byteOffset, ByteBuffer dst) {
    throw new UnsupportedOperationException();
  }

  /** Reads a whole tensor in order, in pieces as large as {@code staging} (whole elements each). */
  public void readChunks(TensorInfo tensor, ByteBuffer staging, ChunkConsumer consumer) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
