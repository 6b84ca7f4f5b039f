package dev.lanes.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.error.InvalidModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The weights of a model directory: {@code model.safetensors}, or the shards that {@code model.safetensors.index.json} lists, or the only
 * {@code *.safetensors} there. Everything is validated on opening; tensors are read on demand. Safe for use by several threads at once.
 */
public final class Checkpoint implements AutoCloseable {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final String SUFFIX = ".safetensors";
  private static final long MAX_INDEX_BYTES = 100_000_000;
  private static final int MAX_SHARDS = 10_000;
  private static final Pattern SHARD_NAME = Pattern.compile(".*-(\\d+)-of-(\\d+)\\.safetensors");

  /** Receives a tensor piece by piece. */
  @FunctionalInterface
  public interface ChunkConsumer {
    /**
     * @param offset where the chunk begins, in bytes from the start of the tensor
     * @param chunk the bytes, little-endian, from position to limit; valid only during the call
     */
    void accept(long offset, ByteBuffer chunk);
  }

  private final Path main;
  private final List<SafetensorsFile> files;
  private final Map<String, SafetensorsFile> owners = new LinkedHashMap<>();
  private final List<TensorInfo> tensors = new ArrayList<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final long totalBytes;

  /** @param main the file that messages name when no other fits better */
  private Checkpoint(Path main, List<SafetensorsFile> files) {
    this.main = main;
    this.files = files;
    long total = 0;
    for (SafetensorsFile file : files) {
      file.metadata().forEach(metadata::putIfAbsent);
      for (TensorInfo tensor : file.tensors()) {
        SafetensorsFile other = owners.put(tensor.name(), file);
        if (other != null) {
          throw new InvalidModelException(file.path(), item(tensor.name()), "is in " + other.path().getFileName() + " as well");
        }
        tensors.add(tensor);
        total += tensor.bytes();
      }
    }
    this.totalBytes = total;
  }

  /**
   * Opens the weights of a model directory.
   *
   * @throws InvalidModelException if there are none, or a file is damaged, missing or contradicts another
   * @throws dev.lanes.error.UnsupportedModelException if a tensor has an unknown element type
   */
  public static Checkpoint open(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new InvalidModelException(directory, "", Files.exists(directory) ? "is not a directory" : "is missing");
    }
    Path single = directory.resolve(SINGLE);
    Path index = directory.resolve(INDEX);
    if (Files.exists(single)) {
      return open(single, List.of(single));
    }
    if (!Files.exists(index)) {
      Path only = onlyFile(directory);
      return open(only, List.of(only));
    }
    Map<String, String> shardOf = readIndex(index);
    Map<String, Path> shards = new TreeMap<>();
    shardOf.forEach((tensor, shard) -> shards.computeIfAbsent(shard, name -> shardPath(index, tensor, name)));
    if (shards.size() > MAX_SHARDS) {
      throw new InvalidModelException(index, "weight_map", "names " + shards.size() + " files, expected at most " + MAX_SHARDS);
    }
    shards.forEach((name, path) -> {
      if (!Files.isRegularFile(path)) {
        throw new InvalidModelException(index, "weight_map", "names the file \"" + name + "\", which is missing");
      }
    });
    Checkpoint checkpoint = open(index, List.copyOf(shards.values()));
    try {
      checkpoint.checkAgainst(shardOf);
      return checkpoint;
    } catch (RuntimeException e) {
      checkpoint.close();
      throw e;
    }
  }

  private static Checkpoint open(Path main, List<Path> paths) {
    List<SafetensorsFile> files = new ArrayList<>();
    try {
      for (Path path : paths) {
        files.add(SafetensorsFile.open(path));
      }
      return new Checkpoint(main, files);
    } catch (RuntimeException | Error e) {
      files.forEach(SafetensorsFile::close);
      throw e;
    }
  }

  private static Path onlyFile(Path directory) {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory, "*" + SUFFIX)) {
      stream.forEach(found::add);
    } catch (IOException e) {
      throw new InvalidModelException(directory, "", "cannot be listed: " + e.getMessage(), e);
    }
    Collections.sort(found);
    if (found.isEmpty()) {
      throw new InvalidModelException(directory, "", "has no weights; expected " + SINGLE + " or " + INDEX);
    }
    if (found.size() > 1) {
      String names = found.get(0).getFileName() + ", " + found.get(1).getFileName() + (found.size() > 2 ? ", ..." : "");
      throw new InvalidModelException(
          directory, "", "has " + found.size() + " files of weights (" + names + ") but neither " + SINGLE + " nor " + INDEX);
    }
    Matcher shard = SHARD_NAME.matcher(found.get(0).getFileName().toString());
    if (shard.matches() && !shard.group(1).equals(shard.group(2))) {
      throw new InvalidModelException(found.get(0), "", "is one of several shards, but " + INDEX + " is missing");
    }
    return found.get(0);
  }

  /** The index's {@code weight_map}: tensor name to file name. */
  private static Map<String, String> readIndex(Path index) {
    ObjectNode root = Json.readObject(index, MAX_INDEX_BYTES);
    if (!(root.get("weight_map") instanceof ObjectNode map) || map.isEmpty()) {
      throw new InvalidModelException(index, "weight_map", "is missing or empty, expected an object of tensor names and file names");
    }
    Map<String, String> shardOf = new HashMap<>();
    for (Map.Entry<String, JsonNode> entry : map.properties()) {
      if (!entry.getValue().isTextual()) {
        throw new InvalidModelException(index, item(entry.getKey()), "is " + Json.show(entry.getValue()) + ", expected a file name");
      }
      shardOf.put(entry.getKey(), entry.getValue().textValue());
    }
    return shardOf;
  }

  /** Only plain names of files beside the index: nothing reaches out of the model's directory. */
  private static Path shardPath(Path index, String tensor, String name) {
    boolean plain = !name.isEmpty() && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ');
    if (!plain || !name.endsWith(SUFFIX) || name.startsWith(".")) {
      throw new InvalidModelException(
          index, item(tensor), "is in \"" + name + "\", expected the plain name of a *" + SUFFIX + " file in the same directory");
    }
    return index.resolveSibling(name);
  }

  private void checkAgainst(Map<String, String> shardOf) {
    owners.forEach((name, file) -> {
      String shard = shardOf.get(name);
      if (shard == null) {
        throw new InvalidModelException(main, item(name), "is in " + file.path().getFileName() + ", but not in weight_map");
      }
      if (!file.path().getFileName().toString().equals(shard)) {
        throw new InvalidModelException(
            main, item(name), "is in " + file.path().getFileName() + ", but weight_map says " + shard);
      }
    });
    shardOf.forEach((name, shard) -> {
      if (!owners.containsKey(name)) {
        throw new InvalidModelException(main, item(name), "is not in " + shard + ", though weight_map says so");
      }
    });
  }

  /** Names of all tensors: in file order, shards in order of their names. */
  public List<String> names() {
    return tensors.stream().map(TensorInfo::name).toList();
  }

  /** All tensors, in the order of {@link #names()}. */
  public List<TensorInfo> tensors() {
    return Collections.unmodifiableList(tensors);
  }

  public boolean contains(String name) {
    return owners.containsKey(name);
  }

  public Optional<TensorInfo> find(String name) {
    SafetensorsFile owner = owners.get(name);
    return owner == null ? Optional.empty() : owner.find(name);
  }

  /**
   * The tensor of this name.
   *
   * @throws InvalidModelException if there is none
   */
  public TensorInfo tensor(String name) {
    return find(name).orElseThrow(() -> new InvalidModelException(main, item(name), "is missing"));
  }

  /** The file that holds a tensor, for messages; the index or the only file when there is no such tensor. */
  public Path fileOf(String name) {
    SafetensorsFile owner = owners.get(name);
    return owner == null ? main : owner.path();
  }

  /** Sum of the sizes of all tensors in bytes. */
  public long totalBytes() {
    return totalBytes;
  }

  /** The {@code __metadata__} of the files; where two have the same key, that of the first. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  /**
   * Reads {@code dst.remaining()} bytes of a tensor of this checkpoint, from {@code byteOffset} within it on.
   *
   * @throws IndexOutOfBoundsException if that reaches past the tensor
   * @throws IllegalArgumentException if the tensor is not of this checkpoint
   * @throws InvalidModelException if the file has changed or cannot be read
   * @throws IllegalStateException if this checkpoint is closed
   */
  public void read(TensorInfo tensor, long byteOffset, ByteBuffer dst) {
    SafetensorsFile owner = owners.get(tensor.name());
    if (owner == null || !owner.tensor(tensor.name()).equals(tensor)) {
      throw new IllegalArgumentException("the tensor \"" + tensor.name() + "\" is not of the checkpoint " + main);
    }
    owner.read(tensor, byteOffset, dst);
  }

  /**
   * Reads a whole tensor in order, in chunks that fill {@code staging} but for a broken element at its end; errors as {@link #read}.
   *
   * @throws IllegalArgumentException if {@code staging} does not hold one element
   */
  public void readChunks(TensorInfo tensor, ByteBuffer staging, ChunkConsumer consumer) {
    Objects.requireNonNull(consumer, "consumer");
    int size = tensor.dtype().bytes();
    int step = staging.capacity() / size * size;
    if (step == 0) {
      throw new IllegalArgumentException("a staging buffer of " + staging.capacity() + " bytes does not hold one " + tensor.dtype());
    }
    staging.order(ByteOrder.LITTLE_ENDIAN);
    for (long offset = 0; offset < tensor.bytes(); offset += step) {
      staging.clear().limit((int) Math.min(step, tensor.bytes() - offset));
      read(tensor, offset, staging);
      consumer.accept(offset, staging.flip());
    }
  }

  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }

  private static String item(String tensor) {
    return "tensor \"" + (tensor.length() > 200 ? tensor.substring(0, 197) + "..." : tensor) + "\"";
  }
}
