package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.error.InvalidModelException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsTest {
  @TempDir Path directory;

  private Path write(String header, byte[] data) throws IOException {
    byte[] json = header.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    ByteBuffer file = ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    Path path = directory.resolve("model.safetensors");
    Files.write(path, file.putLong(json.length).put(json).put(data).array());
    return path;
  }

  @Test
  void whatIsWrittenIsReadBack() throws IOException {
    Path path = directory.resolve("out.safetensors");
    float[] floats = {1, -2.5f, Float.NaN, Float.MIN_VALUE, 0, 6};
    int[] ints = {1, -1, Integer.MIN_VALUE};
    long[] longs = {Long.MAX_VALUE};
    ByteBuffer halves = ByteBuffer.wrap(new byte[] {1, 2, 3, 4, 5, 6});
    new SafetensorsWriter()
        .metadata("prompt", "Hello \"world\" 中 \n")
        .add("halves", DType.BF16, halves, 3)
        .add("ids", ints, 3)
        .add("logits", floats, 2, 3)
        .add("big", longs)
        .add("none", new float[0], 0, 7)
        .write(path);
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertThat(file.metadata()).containsExactlyEntriesOf(java.util.Map.of("prompt", "Hello \"world\" 中 \n"));
      assertThat(file.tensors()).extracting(TensorInfo::name).containsExactly("big", "ids", "logits", "none", "halves");
      assertThat(file.tensors()).allSatisfy(tensor -> assertThat(tensor.offset() % tensor.dtype().bytes()).isZero());
      TensorInfo logits = file.tensor("logits");
      assertThat(logits.hasShape(2, 3)).isTrue();
      assertThat(logits.elements()).isEqualTo(6);
      assertThat(logits.rank()).isEqualTo(2);
      assertThat(logits.dim(1)).isEqualTo(3);
      float[] back = new float[6];
      bytes(file, "logits").asFloatBuffer().get(back);
      assertThat(back).containsExactly(floats);
      assertThat(bytes(file, "ids").getInt(8)).isEqualTo(Integer.MIN_VALUE);
      assertThat(bytes(file, "big").getLong(0)).isEqualTo(Long.MAX_VALUE);
      assertThat(file.tensor("big").rank()).isZero();
      assertThat(bytes(file, "halves").array()).containsExactly(1, 2, 3, 4, 5, 6);
      assertThat(file.tensor("none").bytes()).isZero();
      assertThat(file.find("absent")).isEmpty();
    }
  }

  private static ByteBuffer bytes(SafetensorsFile file, String name) {
    TensorInfo tensor = file.tensor(name);
    ByteBuffer buffer = ByteBuffer.allocate((int) tensor.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    file.read(tensor, 0, buffer);
    return buffer.flip();
  }

  @Test
  void largeTensorsGoThroughTheWriter() throws IOException {
    Path path = directory.resolve("large.safetensors");
    Random random = SharedData.random("SafetensorsTest");
    float[] data = new float[1_000_003];
    for (int i = 0; i < data.length; i++) {
      data[i] = random.nextFloat();
    }
    new SafetensorsWriter().add("x", data, data.length).write(path);
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      float[] back = new float[data.length];
      bytes(file, "x").asFloatBuffer().get(back);
      assertThat(Arrays.equals(back, data)).isTrue();
    }
    try (var files = Files.list(directory)) {
      assertThat(files).as("no temporary file is left").containsExactly(path);
    }
  }

  @Test
  void theWriterRefusesWhatDoesNotFit() {
    SafetensorsWriter writer = new SafetensorsWriter().add("a", new int[2], 2);
    assertThatThrownBy(() -> writer.add("a", new int[2], 2)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("\"a\"");
    assertThatThrownBy(() -> writer.add("b", new int[2], 3)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("3");
    assertThatThrownBy(() -> writer.add("c", new int[2], -2)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("-2");
    assertThatThrownBy(() -> writer.add("d", DType.F32, ByteBuffer.allocate(3), 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> writer.write(directory.resolve("no/such/folder/x"))).isInstanceOf(IOException.class);
  }

  @Test
  void namesWithEscapesAndWhiteSpaceInTheHeader() throws IOException {
    String header = "  \n{ 'a\\u00e9\\n\\/\\ud83e\\udd99' :\t{'shape' : [ 1 , 2 ] , 'dtype':'F16', 'data_offsets':[0,4]} }   ";
    Path path = write(header, new byte[4]);
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertThat(file.tensors()).singleElement().extracting(TensorInfo::name).isEqualTo("aé\n/🦙");
    }
  }

  @Test
  void tensorsNeedNotBeInOrderOfTheirOffsets() throws IOException {
    Path path = write(
        "{'b':{'dtype':'U8','shape':[2],'data_offsets':[3,5]},'a':{'dtype':'I8','shape':[3],'data_offsets':[0,3]},"
            + "'empty':{'dtype':'F64','shape':[0],'data_offsets':[3,3]}}",
        new byte[] {1, 2, 3, 4, 5});
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertThat(file.tensors()).extracting(TensorInfo::name).containsExactly("b", "a", "empty");
      assertThat(bytes(file, "b").array()).containsExactly(4, 5);
      assertThat(bytes(file, "a").array()).containsExactly(1, 2, 3);
    }
  }

  @Test
  void anEmptyFileOfTensorsIsValid() throws IOException {
    try (SafetensorsFile file = SafetensorsFile.open(write("{}", new byte[0]))) {
      assertThat(file.tensors()).isEmpty();
    }
  }

  @Test
  void partsAreReadAndBoundsAreHeld() throws IOException {
    Path path = write("{'a':{'dtype':'U8','shape':[5],'data_offsets':[0,5]}}", new byte[] {1, 2, 3, 4, 5});
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      TensorInfo tensor = file.tensor("a");
      ByteBuffer two = ByteBuffer.allocateDirect(2);
      file.read(tensor, 3, two);
      assertThat(two.get(0)).isEqualTo((byte) 4);
      assertThatThrownBy(() -> file.read(tensor, 4, ByteBuffer.allocate(2))).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> file.read(tensor, -1, ByteBuffer.allocate(2))).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> file.read(tensor, Long.MAX_VALUE, ByteBuffer.allocate(2))).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> file.tensor("b")).isInstanceOf(InvalidModelException.class).hasMessageContaining("tensor \"b\"");
    }
  }

  @Test
  void aFileThatIsCutWhileOpenGivesATypedError() throws IOException {
    Path path = write("{'a':{'dtype':'U8','shape':[5],'data_offsets':[0,5]}}", new byte[5]);
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      try (var channel = java.nio.channels.FileChannel.open(path, StandardOpenOption.WRITE)) {
        channel.truncate(channel.size() - 2);
      }
      assertThatThrownBy(() -> file.read(file.tensor("a"), 0, ByteBuffer.allocate(5)))
          .isInstanceOf(InvalidModelException.class).hasMessageContainingAll("model.safetensors", "tensor \"a\"", "cut");
    }
  }

  @Test
  void aClosedFileIsNotRead() throws IOException {
    SafetensorsFile file = SafetensorsFile.open(write("{'a':{'dtype':'U8','shape':[5],'data_offsets':[0,5]}}", new byte[5]));
    TensorInfo tensor = file.tensor("a");
    file.close();
    file.close();
    assertThatThrownBy(() -> file.read(tensor, 0, ByteBuffer.allocate(5))).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aMissingFileOrADirectoryIsRefused() {
    assertThatThrownBy(() -> SafetensorsFile.open(directory.resolve("none"))).isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("missing");
    assertThatThrownBy(() -> SafetensorsFile.open(directory)).isInstanceOf(InvalidModelException.class)
        .hasMessageContaining("not a regular file");
  }

  /** Whatever bytes come: a file or a typed error. */
  @Test
  void mutatedHeadersNeverFailOtherwise() throws IOException {
    Random random = SharedData.random("SafetensorsTest.mutated");
    String header = "{'__metadata__':{'a':'b'},'x':{'dtype':'F32','shape':[1,2],'data_offsets':[0,8]},"
        + "'y\\u0041':{'dtype':'BF16','shape':[],'data_offsets':[8,10]}}";
    byte[] original = Files.readAllBytes(write(header, new byte[10]));
    Path path = directory.resolve("mutated.safetensors");
    int refused = 0;
    for (int round = 0; round < 1000; round++) {
      byte[] bytes = original.clone();
      for (int i = random.nextInt(3); i >= 0; i--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      Files.write(path, random.nextInt(4) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes);
      try (SafetensorsFile file = SafetensorsFile.open(path)) {
        assertThat(file.tensors()).isNotNull();
      } catch (InvalidModelException e) {
        refused++;
      }
    }
    assertThat(refused).isGreaterThan(300);
  }
}
