package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.error.InvalidModelException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointTest {
  private static final String FIRST = "model-00001-of-00002.safetensors";
  private static final String SECOND = "model-00002-of-00002.safetensors";

  @TempDir Path directory;

  private void writeShards() throws IOException {
    new SafetensorsWriter().metadata("format", "pt").add("b", new int[] {1, 2}, 2).write(directory.resolve(FIRST));
    new SafetensorsWriter().metadata("other", "x").add("c", new int[] {3}, 1).add("a", new int[] {4, 5, 6}, 3)
        .write(directory.resolve(SECOND));
    Files.writeString(directory.resolve("model.safetensors.index.json"),
        "{\"metadata\":{\"total_size\":24},\"weight_map\":{\"a\":\"" + SECOND + "\",\"b\":\"" + FIRST + "\",\"c\":\"" + SECOND + "\"}}");
  }

  @Test
  void shardsAreOneCheckpoint() throws IOException {
    writeShards();
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      assertThat(checkpoint.names()).containsExactly("b", "c", "a");
      assertThat(checkpoint.totalBytes()).isEqualTo(24);
      assertThat(checkpoint.metadata()).containsEntry("format", "pt").containsEntry("other", "x");
      assertThat(checkpoint.fileOf("a")).isEqualTo(directory.resolve(SECOND));
      assertThat(checkpoint.contains("a")).isTrue();
      assertThat(checkpoint.contains("d")).isFalse();
      assertThat(checkpoint.find("d")).isEmpty();
      assertThatThrownBy(() -> checkpoint.tensor("d")).isInstanceOf(InvalidModelException.class)
          .hasMessageContainingAll("index.json", "tensor \"d\"");
      ByteBuffer out = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
      checkpoint.read(checkpoint.tensor("a"), 8, out);
      assertThat(out.getInt(0)).isEqualTo(6);
    }
  }

  @Test
  void chunksCoverATensorOnce() throws IOException {
    writeShards();
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      TensorInfo tensor = checkpoint.tensor("a");
      for (int capacity = 4; capacity <= 16; capacity++) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        List<Long> offsets = new ArrayList<>();
        checkpoint.readChunks(tensor, ByteBuffer.allocateDirect(capacity), (offset, chunk) -> {
          offsets.add(offset);
          assertThat(chunk.order()).isEqualTo(ByteOrder.LITTLE_ENDIAN);
          assertThat(chunk.remaining() % 4).isZero();
          while (chunk.hasRemaining()) {
            all.write(chunk.getInt());
          }
        });
        assertThat(all.toByteArray()).containsExactly(4, 5, 6);
        assertThat(offsets).hasSize(capacity >= 12 ? 1 : capacity >= 8 ? 2 : 3).first().isEqualTo(0L);
      }
      assertThatThrownBy(() -> checkpoint.readChunks(tensor, ByteBuffer.allocate(3), (offset, chunk) -> { }))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void aSingleFileOfAnyNameWillDo() throws IOException {
    new SafetensorsWriter().add("a", new int[] {4}, 1).write(directory.resolve("model.fp16.safetensors"));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      assertThat(checkpoint.names()).containsExactly("a");
    }
    new SafetensorsWriter().add("b", new int[] {4}, 1).write(directory.resolve("model.safetensors"));
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      assertThat(checkpoint.names()).as("model.safetensors comes first").containsExactly("b");
    }
  }

  @Test
  void aTensorOfAnotherCheckpointIsRefused() throws IOException {
    writeShards();
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      TensorInfo foreign = new TensorInfo("a", DType.I32, new long[] {3}, 1_000_000, 12);
      assertThatThrownBy(() -> checkpoint.read(foreign, 0, ByteBuffer.allocate(4))).isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void aClosedCheckpointIsNotRead() throws IOException {
    writeShards();
    Checkpoint checkpoint = Checkpoint.open(directory);
    checkpoint.close();
    checkpoint.close();
    assertThatThrownBy(() -> checkpoint.read(checkpoint.tensor("a"), 0, ByteBuffer.allocate(4)))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aMissingDirectoryIsRefused() {
    assertThatThrownBy(() -> Checkpoint.open(directory.resolve("none"))).isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("missing");
  }

  @Test
  void sharedCheckpointsHaveTheirSizes() {
    try (Checkpoint mixtral = Checkpoint.open(SharedData.require("models/random/mixtral"))) {
      assertThat(mixtral.totalBytes()).isEqualTo(932992);
      assertThat(mixtral.tensor("lm_head.weight").dtype()).isEqualTo(DType.BF16);
    }
    try (Checkpoint minilm = Checkpoint.open(SharedData.require("models/minilm-l6-v2"))) {
      assertThat(minilm.tensor("embeddings.word_embeddings.weight").dtype()).isEqualTo(DType.F16);
    }
  }
}
