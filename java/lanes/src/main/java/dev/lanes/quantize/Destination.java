package dev.lanes.quantize;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/**
 * The directory that is written: under another name beside its place until it is whole, so that a crash leaves nothing that looks like a
 * model there.
 */
final class Destination implements AutoCloseable {
  private final Path target;
  private final Path part;

  /**
   * @throws IllegalArgumentException if the place is taken and may not be replaced, or cannot be written to
   */
  Destination(Path source, Path target, boolean overwrite) throws IOException {
    this.target = target.toAbsolutePath().normalize();
    Path folder = this.target.getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw new IllegalArgumentException("cannot write " + target + ": " + folder + " is no directory");
    }
    if (Files.exists(this.target)) {
      if (Files.isDirectory(source) && Files.isSameFile(source, this.target)) {
        throw new IllegalArgumentException(target + " is the model itself; write to another directory");
      }
      if (!overwrite) {
        throw new IllegalArgumentException(target + " is there already; choose another directory, or ask to overwrite it");
      }
      if (!Files.isRegularFile(this.target.resolve("config.json"))) {
        throw new IllegalArgumentException(target + " is not overwritten: it has no config.json, so it is no model");
      }
    }
    // Not createTempDirectory: others shall be able to read the model.
    part = Files.createDirectory(beside("part"));
  }

  private Path beside(String suffix) {
    return target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + "." + suffix);
  }

  /** Where to write. */
  Path part() {
    return part;
  }

  /** Puts what was written into its place. */
  void commit() throws IOException {
    if (Files.exists(target)) {
      Path old = Files.createDirectory(beside("old"));
      Path kept = old.resolve("model");
      Files.move(target, kept);
      try {
        Files.move(part, target);
      } catch (IOException e) {
        Files.move(kept, target);
        throw e;
      } finally {
        delete(old);
      }
    } else {
      Files.move(part, target);
    }
  }

  /** Removes what was not committed. */
  @Override
  public void close() throws IOException {
    if (Files.exists(part)) {
      delete(part);
    }
  }

  private static void delete(Path directory) throws IOException {
    try (DirectoryStream<Path> all = Files.newDirectoryStream(directory)) {
      for (Path file : all) {
        if (Files.isDirectory(file)) {
          delete(file);
        } else {
          Files.delete(file);
        }
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    Files.delete(directory);
  }
}
