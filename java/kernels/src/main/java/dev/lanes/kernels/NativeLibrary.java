package dev.lanes.kernels;

import dev.lanes.kernels.global.lanes;
import java.io.IOException;
import java.io.InputStream;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Loader;

/**
 * Loads {@code liblanes} and its JNI binding, once for the process.
 *
 * <p>The libraries lie in the classifier jar {@code dev.lanes:lanes-kernels:<version>:<platform>}. A jar with the classifier
 * {@code <platform>-cuda} holds the same library with kernels for GPUs; where it is on the class path it is preferred, and where it
 * cannot be loaded the plain one takes its place. From the jar they are copied into a folder named after their content below JavaCPP's
 * cache folder ({@code ~/.javacpp/cache}, or the system property {@code org.bytedeco.javacpp.cachedir}), so that two versions of one jar
 * never meet.
 *
 * <p>The system property {@value #LIBRARY_PROPERTY} names a {@code liblanes} to load instead: the file, or the folder it lies in. It must
 * have been built from the same header.
 */
public final class NativeLibrary {
  /** System property: a file, or the folder of one, to load instead of the packaged library. */
  public static final String LIBRARY_PROPERTY = "dev.lanes.kernels.library";

  private static final String CACHE_PROPERTY = "org.bytedeco.javacpp.cachedir";
  /** What follows the platform in the names of folders and classifiers (JavaCPP calls it extension), the preferred one first. */
  private static final String[] EXTENSIONS = {"-cuda", ""};
  private static final Object LOCK = new Object();
  private static volatile boolean loaded;
  private static NativeLibraryException failure;
  private static volatile String origin = "";

  private NativeLibrary() {}

  /**
   * The two libraries.
   *
   * @param name in words: the classifier, or the path
   * @param kernels null where there is none
   * @param binding null where there is none
   */
  private record Libraries(String name, URL kernels, URL binding) {
    boolean isComplete() {
      return kernels != null && binding != null;
    }
  }

  /** Which library was loaded: its classifier or path, and why not the preferred one; empty before {@link #load()} has succeeded. */
  public static String origin() {
    return origin;
  }

  /**
   * Loads the library unless that has been done. Safe from any thread; a failure is remembered, and thrown again by later calls.
   *
   * @throws NativeLibraryException if there is no library for this platform, or it cannot be loaded
   */
  public static void load() {
    if (loaded) {
      return;
    }
    synchronized (LOCK) {
      if (failure != null) {
        throw failure;
      }
      if (!loaded) {
        try {
          loadOnce();
          loaded = true;
        } catch (NativeLibraryException e) {
          failure = e;
          throw e;
        }
      }
    }
  }

  private static void loadOnce() {
    // JavaCPP ties what its pointers hold to -Xmx and counts the whole process; Lanes has its own counted allocator.
    setDefault("org.bytedeco.javacpp.maxBytes", "0");
    setDefault("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    Properties build = buildProperties();
    String platform;
    try {
      platform = Loader.getPlatform();
    } catch (LinkageError e) {
      throw new NativeLibraryException("JavaCPP cannot tell this platform: " + e, e);
    }
    List<Libraries> candidates = candidates(platform);
    if (candidates.isEmpty()) {
      throw new NativeLibraryException(missing(build, platform), null);
    }
    try {
      origin = loadFirst(candidates);
      checkVersion(build);
    } catch (IOException e) {
      throw new NativeLibraryException("the native library could not be copied out of its jar: " + e
          + "; choose a writable folder with -D" + CACHE_PROPERTY + "=DIR", e);
    } catch (LinkageError e) {
      throw new NativeLibraryException(explain(e, build, platform), e);
    }
    try (IntPointer probe = new IntPointer(1L)) {
      probe.put(1);
    } catch (LinkageError | RuntimeException e) {
      throw new NativeLibraryException("JavaCPP's own native library is missing; add org.bytedeco:javacpp:"
          + build.getProperty("javacpp") + ":" + platform, e);
    }
  }

  /** What could be loaded, the preferred first. */
  private static List<Libraries> candidates(String platform) {
    String kernels = System.mapLibraryName("lanes");
    String binding = System.mapLibraryName("jnilanes");
    String asked = System.getProperty(LIBRARY_PROPERTY);
    if (asked != null) {
      Path file = Files.isDirectory(Path.of(asked)) ? Path.of(asked).resolve(kernels) : Path.of(asked);
      if (!Files.isRegularFile(file)) {
        throw new NativeLibraryException("the system property " + LIBRARY_PROPERTY + " is \"" + asked + "\": there is no file " + file, null);
      }
      Path beside = file.resolveSibling(binding);
      Libraries library = new Libraries(file.toString(), url(file), Files.isRegularFile(beside) ? url(beside) : resource(platform, binding));
      return library.isComplete() ? List.of(library) : List.of();
    }
    List<Libraries> candidates = new ArrayList<>();
    for (String extension : EXTENSIONS) {
      String folder = platform + extension;
      URL own = resource(folder, binding);
      // One binding serves all.
      candidates.add(new Libraries(folder, resource(folder, kernels), own != null ? own : resource(platform, binding)));
    }
    candidates.removeIf(library -> !library.isComplete());
    return candidates;
  }

  /** Loads the first that the dynamic linker takes; says which, and what was wrong with those before it. */
  private static String loadFirst(List<Libraries> candidates) throws IOException {
    StringBuilder refused = new StringBuilder();
    for (int i = 0; ; i++) {
      Libraries library = candidates.get(i);
      URL[] files = files(library);
      try {
        Loader.loadLibrary(NativeLibrary.class, new URL[] {files[0]}, "lanes");
      } catch (LinkageError e) {
        if (i == candidates.size() - 1) {
          throw e;
        }
        refused.append("; ").append(library.name).append(" cannot be loaded: ").append(linkerMessage(e));
        continue;
      }
      Loader.loadLibrary(NativeLibrary.class, new URL[] {files[1]}, "jnilanes");
      return library.name + refused;
    }
  }

  /** Where to load them from. What lies in a jar is copied to a folder of the cache; the binding finds the kernels beside itself, or loaded. */
  private static URL[] files(Libraries library) throws IOException {
    if (isFile(library.kernels) && isFile(library.binding)) {
      return new URL[] {library.kernels, library.binding};
    }
    byte[][] contents = {read(library.kernels), read(library.binding)};
    Path folder = Loader.getCacheDir().toPath().resolve("lanes").resolve(hash(contents));
    Files.createDirectories(folder);
    return new URL[] {
        isFile(library.kernels) ? library.kernels : copy(contents[0], folder.resolve(System.mapLibraryName("lanes"))),
        isFile(library.binding) ? library.binding : copy(contents[1], folder.resolve(System.mapLibraryName("jnilanes")))
    };
  }

  private static boolean isFile(URL url) {
    return url.getProtocol().equals("file");
  }

  private static URL url(Path file) {
    try {
      return file.toAbsolutePath().toUri().toURL();
    } catch (MalformedURLException e) {
      throw new IllegalStateException("every file has a URL", e);
    }
  }

  private static void checkVersion(Properties build) {
    int found = lanes.lanes_abi_version();
    if (found != lanes.LANES_ABI_VERSION) {
      throw new NativeLibraryException("the native library has ABI version " + found + ", this binding needs "
          + lanes.LANES_ABI_VERSION + "; use the classifier jar of the same version (" + build.getProperty("version") + ")", null);
    }
  }

  private static void setDefault(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }

  private static Properties buildProperties() {
    Properties properties = new Properties();
    try (InputStream in = NativeLibrary.class.getResourceAsStream("build.properties")) {
      if (in != null) {
        properties.load(in);
      }
    } catch (IOException e) {
      throw new NativeLibraryException("build.properties of lanes-kernels cannot be read: " + e, e);
    }
    return properties;
  }

  private static URL resource(String platform, String file) {
    return NativeLibrary.class.getResource(platform + "/" + file);
  }

  private static String missing(Properties build, String platform) {
    String platforms = build.getProperty("platforms", "");
    String version = build.getProperty("version");
    if (!(" " + platforms + " ").contains(" " + platform + " ")) {
      return "there is no native library of Lanes for " + platform + " (there is for: " + platforms + ")";
    }
    return "no native library for " + platform + " on the class path; add the dependency dev.lanes:lanes-kernels:" + version
        + " with classifier " + platform + " (Gradle: runtimeOnly(\"dev.lanes:lanes-kernels:" + version + ":" + platform + "\"))";
  }

  /** Turns what the dynamic linker said into what the user can do. */
  private static String explain(LinkageError error, Properties build, String platform) {
    String text = said(error);
    String advice;
    if (text.contains("GLIBC_") || text.contains("version `")) {
      advice = "the C library of this system is too old; Lanes needs glibc 2.34 or later";
    } else if (text.contains("failed to map segment") || text.contains("Operation not permitted")
        || text.contains("Permission denied")) {
      advice = "its folder may be mounted noexec; choose another with -D" + CACHE_PROPERTY + "=DIR";
    } else if (text.contains("undefined symbol")) {
      advice = "jars of different versions are mixed; use the classifier jar of version " + build.getProperty("version");
    } else {
      advice = "it was found for " + platform + " but the dynamic linker refused it";
    }
    return "the native library cannot be loaded: " + advice + " (" + text + ")";
  }

  /** What JavaCPP says in front of it is about a search path that matters to nobody. */
  private static String linkerMessage(Throwable error) {
    return error.getCause() == null ? error.getMessage() : linkerMessage(error.getCause());
  }

  private static String said(LinkageError error) {
    StringBuilder said = new StringBuilder();
    for (Throwable t = error; t != null; t = t.getCause()) {
      said.append(said.length() == 0 ? "" : "; caused by: ").append(t.getMessage());
    }
    return said.toString();
  }

  private static byte[] read(URL resource) throws IOException {
    try (InputStream in = resource.openStream()) {
      return in.readAllBytes();
    }
  }

  /** Written under another name first, so that no process sees half a library. */
  private static URL copy(byte[] content, Path target) throws IOException {
    if (!Files.isRegularFile(target) || Files.size(target) != content.length) {
      Path part = Files.createTempFile(target.getParent(), "part", null);
      try {
        Files.write(part, content);
        try {
          Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (AtomicMoveNotSupportedException e) {
          Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
        }
      } finally {
        Files.deleteIfExists(part);
      }
    }
    return target.toUri().toURL();
  }

  private static String hash(byte[][] contents) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (byte[] content : contents) {
        digest.update(content);
      }
      return HexFormat.of().formatHex(digest.digest(), 0, 12);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
