package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;

/** Where tests find the repository and the model files that are shared beside it. */
public final class SharedData {
  private SharedData() {}

  /** The repository's root. */
  public static Path root() {
    return Path.of(System.getProperty("lanes.root", ".")).toAbsolutePath().normalize();
  }

  /** A file or directory of the shared data; without it the running test is skipped. */
  public static Path require(String relative) {
    String override = System.getenv("LANES_SHARED");
    Path shared = override != null ? Path.of(override) : root().resolveSibling("shared");
    Path path = shared.resolve(relative);
    Assumptions.assumeTrue(Files.exists(path), () -> "no shared data at " + path + "; set LANES_SHARED to where it is");
    return path;
  }

  /** Random numbers of a test, from a seed that -Dlanes.test.seed replaces; failures print it. */
  public static Random random(String test) {
    long seed = Long.getLong("lanes.test.seed", 20240229L);
    assertThat(test).as("seed %d", seed).isNotEmpty();
    return new Random(seed ^ test.hashCode());
  }
}
