package dev.lanes.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/** Runs the command in this JVM and keeps what it printed. */
final class CommandLineFixture {
  private CommandLineFixture() {}

  /** What a command line did. */
  record Result(int exitCode, String out, String err) {
    JsonNode json() {
      try {
        return new ObjectMapper().readTree(out);
      } catch (JsonProcessingException e) {
        throw new UncheckedIOException("not JSON: " + out, e);
      }
    }
  }

  static Result lanes(String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Console console = new Console(new PrintStream(out, true, StandardCharsets.UTF_8), new PrintStream(err, true, StandardCharsets.UTF_8));
    int exitCode = Main.run(console, arguments);
    return new Result(exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** Runs the command with a stdout that nobody reads any more after {@code bytes} bytes. */
  static Result lanesIntoClosedPipe(int bytes, String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    OutputStream pipe = new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        if (out.size() >= bytes) {
          throw new IOException("Broken pipe");
        }
        out.write(b);
      }
    };
    Console console = new Console(new PrintStream(pipe, true, StandardCharsets.UTF_8), new PrintStream(err, true, StandardCharsets.UTF_8));
    int exitCode = Main.run(console, arguments);
    return new Result(exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** A trained model, or a skipped test where there is none. */
  static String trainedModel(String name) {
    String folder = System.getenv("LANES_SHARED");
    Path shared = folder != null ? Path.of(folder) : Path.of(System.getProperty("lanes.root", "."), "..", "shared");
    Path model = shared.resolve("models").resolve(name).normalize();
    Assumptions.assumeTrue(Files.isDirectory(model), () -> "skipped: no trained model at " + model);
    return model.toString();
  }
}
