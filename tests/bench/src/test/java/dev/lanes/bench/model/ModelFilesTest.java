package dev.lanes.bench.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelFilesTest {
  private static final ModelShape TINY = new ModelShape("tiny", 2, 64, 4, 2, 96, 300, 128, false);

  @TempDir private Path directory;

  @Test
  void safetensorsIsWholeAndFinite() throws IOException {
    Path model = ModelFiles.checkpoint(TINY, directory);
    ByteBuffer bytes = read(model.resolve("model.safetensors"));
    byte[] json = new byte[Math.toIntExact(bytes.getLong())];
    bytes.get(json);
    JsonNode header = new ObjectMapper().readTree(new String(json, StandardCharsets.UTF_8));
    long end = 0;
    for (ModelShape.Weight weight : TINY.weights()) {
      JsonNode entry = header.get(weight.huggingFace());
      assertThat(entry.get("dtype").asText()).isEqualTo("BF16");
      assertThat(entry.get("data_offsets").get(0).asLong()).isEqualTo(end);
      end = entry.get("data_offsets").get(1).asLong();
      long elements = 1;
      for (JsonNode size : entry.get("shape")) {
        elements *= size.asLong();
      }
      assertThat(elements).isEqualTo(weight.elements());
    }
    assertThat((long) bytes.remaining()).isEqualTo(end);
    double squares = 0;
    int elements = TINY.vocabulary() * TINY.hidden();
    for (int i = 0; i < elements; i++) {
      float value = Float.intBitsToFloat(bytes.getShort() << 16);
      squares += (double) value * value;
    }
    // Variance 1 / columns.
    assertThat(squares / elements * TINY.hidden()).isBetween(0.9, 1.1);
  }

  @Test
  void ggufHeaderMatchesItsData() throws IOException {
    ByteBuffer bytes = read(ModelFiles.gguf(TINY, directory));
    assertThat(bytes.getInt()).isEqualTo(0x46554747);
    assertThat(bytes.getInt()).isEqualTo(3);
    long tensors = bytes.getLong();
    long entries = bytes.getLong();
    assertThat(tensors).isEqualTo(TINY.weights().size());
    List<String> keys = new ArrayList<>();
    for (long i = 0; i < entries; i++) {
      keys.add(text(bytes));
      skipValue(bytes, bytes.getInt());
    }
    assertThat(keys).doesNotHaveDuplicates().contains("general.architecture", "llama.block_count", "tokenizer.ggml.tokens");
    long end = 0;
    for (ModelShape.Weight weight : TINY.weights()) {
      assertThat(text(bytes)).isEqualTo(weight.gguf());
      int dimensions = bytes.getInt();
      assertThat(dimensions).isEqualTo(weight.vector() ? 1 : 2);
      assertThat(bytes.getLong()).isEqualTo(weight.columns());
      if (dimensions == 2) {
        assertThat(bytes.getLong()).isEqualTo(weight.rows());
      }
      int type = bytes.getInt();
      assertThat(type).isEqualTo(weight.vector() ? 0 : 30);
      long offset = bytes.getLong();
      assertThat(offset % 32).isZero();
      assertThat(offset).isBetween(end, end + 31);
      end = offset + weight.elements() * (weight.vector() ? 4 : 2);
    }
    long data = (bytes.position() + 31) / 32 * 32;
    assertThat((long) bytes.limit()).isBetween(data + end, data + end + 31);
  }

  @Test
  void whatIsThereIsNotWrittenAgain() throws IOException {
    Path gguf = ModelFiles.gguf(TINY, directory);
    Path weights = ModelFiles.checkpoint(TINY, directory).resolve("model.safetensors");
    FileTime past = FileTime.fromMillis(1_000_000_000_000L);
    Files.setLastModifiedTime(gguf, past);
    Files.setLastModifiedTime(weights, past);
    ModelFiles.gguf(TINY, directory);
    ModelFiles.checkpoint(TINY, directory);
    assertThat(Files.getLastModifiedTime(gguf)).isEqualTo(past);
    assertThat(Files.getLastModifiedTime(weights)).isEqualTo(past);
  }

  private static ByteBuffer read(Path path) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static String text(ByteBuffer bytes) {
    byte[] text = new byte[Math.toIntExact(bytes.getLong())];
    bytes.get(text);
    return new String(text, StandardCharsets.UTF_8);
  }

  private static void skipValue(ByteBuffer bytes, int type) {
    switch (type) {
      case 4, 5, 6 -> bytes.getInt();
      case 7 -> bytes.get();
      case 8 -> text(bytes);
      case 9 -> {
        int element = bytes.getInt();
        long count = bytes.getLong();
        for (long i = 0; i < count; i++) {
          skipValue(bytes, element);
        }
      }
      default -> throw new AssertionError("GGUF value type " + type + " at " + bytes.position());
    }
  }
}
