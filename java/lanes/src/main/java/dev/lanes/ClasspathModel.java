package dev.lanes;

import dev.lanes.error.InvalidModelException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A model directory on the class path, such as a jar holds. Its files are copied into a folder named after their content below
 * {@code -Ddev.lanes.cache=DIR} (by default {@code ~/.cache/lanes}, or the system's temporary folder where that cannot be written), so that
 * two versions of a jar, two processes, or what a cleaner left of a folder never mix.
 */
final class ClasspathModel {
  static final String PREFIX = "classpath:";
  static final String CACHE_PROPERTY = "dev.lanes.cache";

  /** Class paths cannot be listed: these are the files that a model may have. */
  private static final List<String> FILES = List.of("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
      "chat_template.jinja", "model.safetensors");
  private static final int HASH_BYTES = 12;

  private final String folder;
  private final Map<String, URL> files;

  private ClasspathModel(String folder, Map<String, URL> files) {
    this.folder = folder;
    this.files = files;
  }

  /** The model in a folder of the class path; empty when it has no config.json. */
  static Optional<ClasspathModel> find(String folder) {
    String prefix = folder.isEmpty() || folder.endsWith("/") ? folder : folder + "/";
    Map<String, URL> files = new LinkedHashMap<>();
    for (String name : FILES) {
      URL url = resource(prefix + name);
      if (url != null) {
        files.put(name, url);
      }
    }
    return files.containsKey("config.json") ? Optional.of(new ClasspathModel(prefix, files)) : Optional.empty();
  }

  private static URL resource(String name) {
    ClassLoader context = Thread.currentThread().getContextClassLoader();
    URL url = context == null ? null : context.getResource(name);
    return url != null ? url : ClasspathModel.class.getClassLoader().getResource(name);
  }

  /** The directory of a location: {@code classpath:FOLDER}, or a path. */
  static Path directory(String location) {
    if (location.startsWith(PREFIX)) {
      String folder = location.substring(PREFIX.length());
      return find(folder).orElseThrow(() -> new InvalidModelException(Path.of(folder.isEmpty() ? "." : folder).resolve("config.json"), "",
          "is not on the class path; add the jar that holds the model")).copy();
    }
    try {
      return Path.of(location);
    } catch (InvalidPathException e) {
      throw new IllegalArgumentException("'" + location + "' is no path: " + e.getReason(), e);
    }
  }

  /** Copies what the cache does not hold yet; returns the folder of the cache. */
  Path copy() {
    try {
      Map<String, String> digests = new LinkedHashMap<>();
      MessageDigest all = sha256();
      for (Map.Entry<String, URL> file : files.entrySet()) {
        try (InputStream in = file.getValue().openStream()) {
          String digest = digest(in, OutputStream.nullOutputStream());
          digests.put(file.getKey(), digest);
          all.update((file.getKey() + ":" + digest + "\n").getBytes(StandardCharsets.UTF_8));
        }
      }
      Path target = cache().resolve("models").resolve(HexFormat.of().formatHex(all.digest(), 0, HASH_BYTES));
      Files.createDirectories(target);
      for (Map.Entry<String, String> file : digests.entrySet()) {
        copy(files.get(file.getKey()), file.getValue(), target.resolve(file.getKey()));
      }
      return target;
    } catch (IOException e) {
      throw new UncheckedIOException("the model in " + PREFIX + folder + " could not be copied: " + e
          + "; choose a writable folder with -D" + CACHE_PROPERTY + "=DIR", e);
    }
  }

  /** Written under another name first, so that no process sees half a file. */
  private static void copy(URL source, String digest, Path target) throws IOException {
    if (Files.isRegularFile(target)) {
      try (InputStream in = Files.newInputStream(target)) {
        if (digest(in, OutputStream.nullOutputStream()).equals(digest)) {
          return;
        }
      }
    }
    Path part = Files.createTempFile(target.getParent(), "part", null);
    try {
      try (InputStream in = source.openStream(); OutputStream out = Files.newOutputStream(part)) {
        if (!digest(in, out).equals(digest)) {
          throw new IOException(source + " changed while it was read");
        }
      }
      try {
        Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(part);
    }
  }

  private static Path cache() {
    String chosen = System.getProperty(CACHE_PROPERTY);
    if (chosen != null && !chosen.isBlank()) {
      return Path.of(chosen);
    }
    Path home = Path.of(System.getProperty("user.home", "."), ".cache", "lanes");
    try {
      Files.createDirectories(home);
      if (Files.isWritable(home)) {
        return home;
      }
    } catch (IOException e) {
      // Homes that cannot be written are common in containers.
    }
    return Path.of(System.getProperty("java.io.tmpdir"), "lanes-" + System.getProperty("user.name", "user"));
  }

  private static String digest(InputStream in, OutputStream out) throws IOException {
    MessageDigest digest = sha256();
    new DigestInputStream(in, digest).transferTo(out);
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
