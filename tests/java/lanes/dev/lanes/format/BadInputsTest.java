package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.lanes.error.InvalidModelException;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.token.HuggingFaceTokenizer;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Broken model files, listed in tests/bad-inputs/manifest.tsv with the error that each must give: a typed exception that names the file and
 * the tensor or field, within a second.
 */
class BadInputsTest {
  private static final Path FOLDER = SharedData.root().resolve("tests/bad-inputs");
  private static final Duration LIMIT = Duration.ofSeconds(1);

  @TempDir Path directory;

  record BadInput(String file, String parser, String exception, List<String> parts) {
    @Override
    public String toString() {
      return file;
    }
  }

  static List<BadInput> manifest() throws IOException {
    return Files.readAllLines(FOLDER.resolve("manifest.tsv")).stream()
        .filter(line -> !line.isBlank() && !line.startsWith("#"))
        .map(line -> line.split("\t", -1))
        .map(columns -> new BadInput(columns[0], columns[1], columns[2], List.of(columns[3].split(" \\| "))))
        .toList();
  }

  /** The first use of the native tokenizer unpacks and loads its library; that is not what is timed. */
  @BeforeAll
  static void loadTheLibrary(@TempDir Path warmUp) throws IOException {
    Files.writeString(warmUp.resolve("tokenizer.json"), "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}");
    HuggingFaceTokenizer.load(warmUp).orElseThrow().close();
  }

  @Test
  void theManifestListsEveryFile() throws IOException {
    List<BadInput> inputs = manifest();
    assertThat(inputs.stream().filter(input -> input.parser().equals("safetensors"))).hasSizeGreaterThanOrEqualTo(25);
    assertThat(inputs.stream().filter(input -> input.parser().equals("config"))).hasSizeGreaterThanOrEqualTo(25);
    assertThat(inputs.stream().filter(input -> input.parser().equals("tokenizer"))).hasSizeGreaterThanOrEqualTo(10);
    try (var folders = Files.list(FOLDER)) {
      for (Path folder : folders.filter(Files::isDirectory).toList()) {
        try (var files = Files.list(folder)) {
          assertThat(files.map(path -> folder.getFileName() + "/" + path.getFileName()))
              .allSatisfy(file -> assertThat(inputs).extracting(BadInput::file).contains(file));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("manifest")
  void isRefused(BadInput input) throws IOException {
    Path file = FOLDER.resolve(input.file());
    assertThat(file).exists();
    InvalidModelException failure = switch (input.parser()) {
      case "safetensors" -> failure(() -> SafetensorsFile.open(file));
      case "checkpoint" -> failure(() -> Checkpoint.open(file));
      case "config" -> failure(() -> ModelConfig.read(file));
      case "generation" -> {
        Path folder = copied(file, "generation_config.json");
        yield failure(() -> GenerationConfig.load(folder));
      }
      case "tokenizer-config" -> {
        Path folder = copied(file, "tokenizer_config.json");
        yield failure(() -> TokenizerConfig.load(folder));
      }
      case "tokenizer" -> {
        Path folder = copied(file, "tokenizer.json");
        yield failure(() -> HuggingFaceTokenizer.load(folder));
      }
      default -> throw new IllegalArgumentException(input.parser());
    };
    assertThat(failure.getClass().getSimpleName()).isEqualTo(input.exception());
    assertThat(failure.getMessage()).contains(input.parts()).hasSizeLessThan(1000);
    assertThat(failure.getMessage()).startsWith(failure.file().toString());
  }

  private Path copied(Path file, String name) throws IOException {
    Files.copy(file, directory.resolve(name));
    return directory;
  }

  private static InvalidModelException failure(ThrowingCallable call) {
    // The thread's own time: what else runs on the machine does not count.
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    Duration best = Duration.ofDays(1);
    Throwable thrown = null;
    for (int attempt = 0; attempt < 3 && best.compareTo(LIMIT) > 0; attempt++) {
      long start = threads.getCurrentThreadCpuTime();
      thrown = catchThrowable(call);
      Duration taken = Duration.ofNanos(threads.getCurrentThreadCpuTime() - start);
      best = taken.compareTo(best) < 0 ? taken : best;
      assertThat(thrown).isInstanceOf(InvalidModelException.class);
    }
    assertThat(best).isLessThan(LIMIT);
    return (InvalidModelException) thrown;
  }

  /** A header of 83 MB. */
  @Test
  void aMillionTensorsAreRefusedQuickly() throws IOException {
    Path file = directory.resolve("model.safetensors");
    int count = 1_000_000;
    byte[] header = header(count);
    try (OutputStream out = Files.newOutputStream(file)) {
      out.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length).array());
      out.write(header);
      out.write(new byte[4 * count]);
    }
    assertThat(failure(() -> SafetensorsFile.open(file)))
        .isInstanceOf(UnsupportedModelException.class).hasMessageContainingAll("model.safetensors", "tensor \"t131072\"", "131072 tensors");
  }

  private static byte[] header(int count) {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; i < count; i++) {
      header.append(i == 0 ? "" : ",").append("\"t").append(i).append("\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[")
          .append(4L * i).append(',').append(4L * i + 4).append("]}");
    }
    return header.append("}").toString().getBytes(StandardCharsets.US_ASCII);
  }

  @Test
  void longHeadersAreRefusedQuickly() throws IOException {
    Path file = directory.resolve("model.safetensors");
    byte[] spaces = " ".repeat(50_000_000).getBytes(StandardCharsets.US_ASCII);
    try (OutputStream out = Files.newOutputStream(file)) {
      out.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(spaces.length).array());
      out.write(spaces);
    }
    assertThat(failure(() -> SafetensorsFile.open(file))).hasMessageContaining("end of the header");
  }

  @Test
  void oneTokenOfAMebibyteIsNoProblem() throws IOException {
    String token = "x".repeat(1 << 20);
    Files.writeString(
        directory.resolve("tokenizer.json"), "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"x\":0,\"" + token + "\":0},\"merges\":[]}}");
    assertThat(failure(() -> HuggingFaceTokenizer.load(directory))).hasMessageContaining("id 0");
  }
}
