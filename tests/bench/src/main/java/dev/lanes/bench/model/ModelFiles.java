package dev.lanes.bench.model;

import dev.lanes.bench.model.ModelShape.Weight;
import dev.lanes.format.ModelConfig;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.SplittableRandom;

/** Writes a model of a shape with random weights: a Hugging Face directory for ours, a GGUF file for llama.cpp. */
public final class ModelFiles {
  private static final long SEED = 7;
  private static final int CHUNK_BYTES = 8 << 20;
  private static final int GGUF_ALIGNMENT = 32;
  private static final int GGML_F32 = 0;
  private static final int GGML_BF16 = 30;
  private static final int MOSTLY_BF16 = 32;

  /** Llama's vocabulary begins with unknown, begin, end and the 256 bytes. */
  private static final int SPECIAL_TOKENS = 3;

  private static final int BYTE_TOKENS = 256;

  private ModelFiles() {}

  /** A directory with config.json and model.safetensors under {@code parent}; written if it is not there yet. */
  public static Path checkpoint(ModelShape shape, Path parent) throws IOException {
    Path directory = parent.resolve(shape.name());
    // SyntheticModel writes config.json last: its presence says that the directory is complete. One of an older shape is replaced.
    boolean complete = Files.exists(directory.resolve("config.json"));
    if (!complete || ModelConfig.load(directory).maxPositions() != shape.context()) {
      shape.model().write(directory);
    }
    return directory;
  }

  /** A GGUF file (version 3) under {@code parent}; written if it is not there yet. */
  public static Path gguf(ModelShape shape, Path parent) throws IOException {
    Path path = parent.resolve(shape.name() + ".gguf");
    if (Files.exists(path)) {
      return path;
    }
    Files.createDirectories(parent);
    List<Weight> weights = shape.weights();
    GgufHeader header = new GgufHeader();
    header.begin(weights.size(), 22);
    header.string("general.architecture", "llama");
    header.string("general.name", "random " + shape.name());
    header.uint32("general.file_type", MOSTLY_BF16);
    header.uint32("general.alignment", GGUF_ALIGNMENT);
    header.uint32("llama.context_length", shape.context());
    header.uint32("llama.embedding_length", shape.hidden());
    header.uint32("llama.block_count", shape.layers());
    header.uint32("llama.feed_forward_length", shape.ffn());
    header.uint32("llama.attention.head_count", shape.heads());
    header.uint32("llama.attention.head_count_kv", shape.kvHeads());
    header.uint32("llama.rope.dimension_count", shape.headDim());
    header.uint32("llama.vocab_size", shape.vocabulary());
    header.float32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    header.float32("llama.rope.freq_base", 10000);
    header.string("tokenizer.ggml.model", "llama");
    header.strings("tokenizer.ggml.tokens", tokens(shape.vocabulary()));
    header.float32s("tokenizer.ggml.scores", new float[shape.vocabulary()]);
    header.int32s("tokenizer.ggml.token_type", tokenTypes(shape.vocabulary()));
    header.uint32("tokenizer.ggml.bos_token_id", 1);
    header.uint32("tokenizer.ggml.eos_token_id", 2);
    // A prompt of n letters is then n tokens.
    header.bool("tokenizer.ggml.add_bos_token", false);
    header.bool("tokenizer.ggml.add_space_prefix", false);
    long offset = 0;
    for (Weight weight : weights) {
      header.tensor(weight.gguf(), weight.vector() ? new long[] {weight.columns()} : new long[] {weight.columns(), weight.rows()},
          weight.vector() ? GGML_F32 : GGML_BF16, offset);
      offset += aligned(ggufBytes(weight));
    }
    Path part = parent.resolve(shape.name() + ".gguf.part");
    try (FileChannel file = create(part)) {
      byte[] start = header.bytes();
      writeFully(file, ByteBuffer.wrap(start));
      pad(file, aligned(start.length) - start.length);
      for (Weight weight : weights) {
        if (weight.vector()) {
          ByteBuffer ones = ByteBuffer.allocate(4 * weight.columns()).order(ByteOrder.LITTLE_ENDIAN);
          while (ones.hasRemaining()) {
            ones.putFloat(1);
          }
          writeFully(file, ones.flip());
        } else {
          writeBf16(file, weight);
        }
        pad(file, aligned(ggufBytes(weight)) - ggufBytes(weight));
      }
    }
    Files.move(part, path, StandardCopyOption.ATOMIC_MOVE);
    return path;
  }

  private static long ggufBytes(Weight weight) {
    return weight.elements() * (weight.vector() ? 4 : 2);
  }

  private static long aligned(long bytes) {
    return (bytes + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
  }

  /** The pieces of a SentencePiece vocabulary. Only letters and bytes are ever met: the benchmark's prompts consist of single letters. */
  private static String[] tokens(int vocabulary) {
    String[] tokens = new String[vocabulary];
    tokens[0] = "<unk>";
    tokens[1] = "<s>";
    tokens[2] = "</s>";
    for (int i = SPECIAL_TOKENS; i < vocabulary; i++) {
      int letter = i - SPECIAL_TOKENS - BYTE_TOKENS;
      tokens[i] = letter < 0 ? String.format("<0x%02X>", i - SPECIAL_TOKENS) : letter < 26 ? String.valueOf((char) ('a' + letter)) : "w" + i;
    }
    return tokens;
  }

  private static int[] tokenTypes(int vocabulary) {
    final int normal = 1;
    final int unknown = 2;
    final int control = 3;
    final int byteToken = 6;
    int[] types = new int[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      types[i] = i == 0 ? unknown : i < SPECIAL_TOKENS ? control : i < SPECIAL_TOKENS + BYTE_TOKENS ? byteToken : normal;
    }
    return types;
  }

  /** A matrix gets uniform numbers of variance 1 / columns, so that activations keep their size; a vector, a norm's weight, gets ones. */
  private static void writeBf16(FileChannel file, Weight weight) throws IOException {
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    SplittableRandom random = new SplittableRandom(SEED + weight.gguf().hashCode());
    float scale = (float) Math.sqrt(3.0 / weight.columns()) / Short.MAX_VALUE;
    for (long left = weight.elements(); left > 0; ) {
      int count = (int) Math.min(left, CHUNK_BYTES / 2);
      chunk.clear();
      long bits = 0;
      for (int i = 0; i < count; i++) {
        bits = i % 4 == 0 ? random.nextLong() : bits >>> 16;
        float value = weight.vector() ? 1 : (short) bits * scale;
        chunk.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
      }
      writeFully(file, chunk.flip());
      left -= count;
    }
  }

  private static FileChannel create(Path path) throws IOException {
    return FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
  }

  private static void pad(FileChannel file, long bytes) throws IOException {
    writeFully(file, ByteBuffer.allocate((int) bytes));
  }

  private static void writeFully(FileChannel file, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      file.write(bytes);
    }
  }

  /** The part of a GGUF file before its tensors' data. */
  private static final class GgufHeader {
    private static final int UINT32 = 4;
    private static final int INT32 = 5;
    private static final int FLOAT32 = 6;
    private static final int BOOL = 7;
    private static final int STRING = 8;
    private static final int ARRAY = 9;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    void begin(long tensors, long entries) {
      out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
      int32(3);
      int64(tensors);
      int64(entries);
    }

    void string(String key, String value) {
      key(key, STRING);
      text(value);
    }

    void uint32(String key, int value) {
      key(key, UINT32);
      int32(value);
    }

    void bool(String key, boolean value) {
      key(key, BOOL);
      out.write(value ? 1 : 0);
    }

    void float32(String key, float value) {
      key(key, FLOAT32);
      int32(Float.floatToRawIntBits(value));
    }

    void strings(String key, String[] values) {
      array(key, STRING, values.length);
      for (String value : values) {
        text(value);
      }
    }

    void float32s(String key, float[] values) {
      array(key, FLOAT32, values.length);
      for (float value : values) {
        int32(Float.floatToRawIntBits(value));
      }
    }

    void int32s(String key, int[] values) {
      array(key, INT32, values.length);
      for (int value : values) {
        int32(value);
      }
    }

    /** Sizes innermost first. */
    void tensor(String name, long[] sizes, int type, long offset) {
      text(name);
      int32(sizes.length);
      for (long size : sizes) {
        int64(size);
      }
      int32(type);
      int64(offset);
    }

    byte[] bytes() {
      return out.toByteArray();
    }

    private void array(String key, int type, long length) {
      key(key, ARRAY);
      int32(type);
      int64(length);
    }

    private void key(String key, int type) {
      text(key);
      int32(type);
    }

    private void text(String value) {
      byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
      int64(bytes.length);
      out.writeBytes(bytes);
    }

    private void int32(int value) {
      out.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
    }

    private void int64(long value) {
      out.writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
    }
  }
}
