package dev.lanes.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The loader in fresh JVMs, with jars as a user has them. */
class NativeLibraryTest {
  private static final String PLATFORM = Loader.getPlatform();
  private static final String FOLDER = "dev/lanes/kernels/" + PLATFORM + "/";

  @TempDir
  static Path jars;

  private static Path classes;
  private static Path plain;
  private static Path natives;

  @BeforeAll
  static void pack() throws Exception {
    classes = Path.of(NativeLibrary.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    plain = jars.resolve("lanes-kernels.jar");
    natives = jars.resolve("lanes-kernels-" + PLATFORM + ".jar");
    jar(plain, name -> !name.startsWith(FOLDER), name -> null);
    jar(natives, name -> name.startsWith(FOLDER), name -> null);
  }

  /** What takes the place of a file's content; null for the file's own. */
  private interface Replacement {
    byte[] of(String name) throws IOException;
  }

  private static void jar(Path target, Predicate<String> wanted, Replacement replacement) throws IOException {
    try (OutputStream file = Files.newOutputStream(target); JarOutputStream out = new JarOutputStream(file);
        Stream<Path> files = Files.walk(classes)) {
      for (Path path : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        String name = classes.relativize(path).toString().replace(File.separatorChar, '/');
        if (wanted.test(name)) {
          out.putNextEntry(new JarEntry(name));
          byte[] other = replacement.of(name);
          out.write(other == null ? Files.readAllBytes(path) : other);
        }
      }
    }
  }

  /** A JVM with an empty cache and the given jars in place of this module's classes. */
  private static Process start(Path cache, List<Path> ours, String... options) throws IOException {
    List<String> path = new ArrayList<>();
    ours.forEach(jar -> path.add(jar.toString()));
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (!Path.of(entry).toAbsolutePath().equals(classes)) {
        path.add(entry);
      }
    }
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "--enable-native-access=ALL-UNNAMED", "-Dorg.bytedeco.javacpp.cachedir=" + cache, "-cp",
        String.join(File.pathSeparator, path)));
    command.addAll(Arrays.asList(options));
    command.add(LoaderMain.class.getName());
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  private static String output(Process process) throws IOException, InterruptedException {
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    return output;
  }

  private static String run(Path cache, List<Path> ours, String... options) throws IOException, InterruptedException {
    return output(start(cache, ours, options));
  }

  @Test
  void loadsFromJars(@TempDir Path cache) throws Exception {
    String first = run(cache, List.of(plain, natives));
    assertThat(first).startsWith("loaded ").contains(" from " + cache.toRealPath());
    assertThat(run(cache, List.of(plain, natives))).as("the second time").isEqualTo(first);
  }

  @Test
  void anotherLibraryInAJarOfTheSameNameIsNotMistakenForTheFirst(@TempDir Path cache, @TempDir Path folder) throws Exception {
    String first = run(cache, List.of(plain, natives));
    Path other = folder.resolve(natives.getFileName());
    // What follows the last section of an ELF file is ignored.
    jar(other, name -> name.startsWith(FOLDER), name -> {
      byte[] content = Files.readAllBytes(classes.resolve(name));
      return Arrays.copyOf(content, content.length + 16);
    });
    String second = run(cache, List.of(plain, other));
    assertThat(second).startsWith("loaded ").isNotEqualTo(first);
  }

  @Test
  void manyProcessesExtractAtOnce(@TempDir Path cache) throws Exception {
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      processes.add(start(cache, List.of(plain, natives)));
    }
    for (Process process : processes) {
      assertThat(output(process)).startsWith("loaded ");
    }
    try (Stream<Path> left = Files.walk(cache)) {
      assertThat(left.map(p -> p.getFileName().toString()).filter(n -> n.startsWith("part"))).isEmpty();
    }
  }

  @Test
  void aMissingClassifierIsNamed(@TempDir Path cache) throws Exception {
    String output = run(cache, List.of(plain));
    assertThat(output).contains("refused: no native library for " + PLATFORM, "dev.lanes:lanes-kernels:", "classifier " + PLATFORM);
    assertThat(output).as("the version is filled in").doesNotContain("${").contains("again: true");
  }

  private static Path cudaJar(Path folder, byte[] library) throws IOException {
    Path jar = folder.resolve("lanes-kernels-" + PLATFORM + "-cuda.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      out.putNextEntry(new JarEntry("dev/lanes/kernels/" + PLATFORM + "-cuda/" + System.mapLibraryName("lanes")));
      out.write(library);
    }
    return jar;
  }

  /** The library with something behind its last section, which is ignored. */
  private static byte[] otherLibrary() throws IOException {
    byte[] content = Files.readAllBytes(classes.resolve(FOLDER + System.mapLibraryName("lanes")));
    return Arrays.copyOf(content, content.length + 16);
  }

  @Test
  void theLibraryWithGpuKernelsIsPreferred(@TempDir Path cache, @TempDir Path folder) throws Exception {
    String without = run(cache, List.of(plain, natives));
    assertThat(without).contains("origin: " + PLATFORM + System.lineSeparator());
    String with = run(cache, List.of(plain, natives, cudaJar(folder, otherLibrary())));
    assertThat(with).startsWith("loaded ").contains("origin: " + PLATFORM + "-cuda" + System.lineSeparator());
    assertThat(with.lines().findFirst()).as("another file").isNotEqualTo(without.lines().findFirst());
  }

  @Test
  void thePlainLibraryTakesItsPlaceAndSaysWhy(@TempDir Path cache, @TempDir Path folder) throws Exception {
    byte[] damaged = "not a library".repeat(99).getBytes(StandardCharsets.UTF_8);
    assertThat(run(cache, List.of(plain, natives, cudaJar(folder, damaged))))
        .contains("loaded ", "origin: " + PLATFORM + "; " + PLATFORM + "-cuda cannot be loaded: /", "invalid ELF header");
    assertThat(run(cache, List.of(plain, cudaJar(folder, otherLibrary())))).as("a library without a binding")
        .contains("refused: no native library for " + PLATFORM);
  }

  @Test
  void aLibraryIsNamedByAProperty(@TempDir Path cache, @TempDir Path folder) throws Exception {
    Path library = Files.write(folder.resolve(System.mapLibraryName("lanes")), otherLibrary());
    for (Path named : List.of(library, folder)) {
      assertThat(run(cache, List.of(plain, natives), "-Ddev.lanes.kernels.library=" + named)).startsWith("loaded ")
          .contains(" from " + library.toRealPath() + " and " + cache.toRealPath(), "origin: " + library);
    }
    assertThat(run(cache, List.of(plain, natives), "-Ddev.lanes.kernels.library=" + folder.resolve("none")))
        .contains("refused: the system property dev.lanes.kernels.library is \"" + folder.resolve("none"), "there is no file");
  }

  @Test
  void anUnknownPlatformIsNamed(@TempDir Path cache) throws Exception {
    assertThat(run(cache, List.of(plain, natives), "-Dorg.bytedeco.javacpp.platform=plan9-mips"))
        .contains("refused: there is no native library of Lanes for plan9-mips (there is for: linux-x86_64 linux-arm64)");
  }

  @Test
  void aDamagedLibraryIsRefused(@TempDir Path cache, @TempDir Path folder) throws Exception {
    Path damaged = folder.resolve("damaged.jar");
    jar(damaged, name -> name.startsWith(FOLDER), name -> "not a library".repeat(99).getBytes(StandardCharsets.UTF_8));
    assertThat(run(cache, List.of(plain, damaged))).contains("refused: the native library cannot be loaded", "liblanes.so");
  }

  @Test
  void aLibraryOfAnotherVersionIsRefused(@TempDir Path cache, @TempDir Path folder) throws Exception {
    // A library that loads, but has none of the functions: JavaCPP's own.
    byte[] stranger;
    try (InputStream in = Loader.class.getResourceAsStream("/org/bytedeco/javacpp/" + PLATFORM + "/libjnijavacpp.so")) {
      stranger = in.readAllBytes();
    }
    Path mixed = folder.resolve("mixed.jar");
    jar(mixed, name -> name.startsWith(FOLDER), name -> name.endsWith("/liblanes.so") ? stranger : null);
    assertThat(run(cache, List.of(plain, mixed))).contains("refused: the native library cannot be loaded");
  }

  @Test
  void aCacheThatCannotBeWrittenIsNamed(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "a file, not a folder");
    Path below = file.resolve("cache");
    assertThat(run(below, List.of(plain, natives), "-Duser.home=" + below, "-Djava.io.tmpdir=" + below))
        .contains("refused: ", "-Dorg.bytedeco.javacpp.cachedir=DIR");
  }

  @Test
  void theUsersOwnLimitsStay(@TempDir Path cache) throws Exception {
    assertThat(run(cache, List.of(plain, natives), "-Dorg.bytedeco.javacpp.maxPhysicalBytes=64g")).startsWith("loaded ");
  }
}
