package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.error.InvalidModelException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Models that a jar holds. */
@Timeout(60)
class ClasspathModelTest {
  private static final GenerationOptions FIVE = GenerationOptions.builder().maxTokens(5).ignoreEos(true).build();

  @TempDir
  Path model;

  @TempDir
  Path folder;

  private Path cache;

  @BeforeEach
  void write() {
    TinyCheckpoint.llama(model, TestSeed.value());
    TinyCheckpoint.addByteTokenizer(model);
    cache = folder.resolve("cache");
    System.setProperty(ClasspathModel.CACHE_PROPERTY, cache.toString());
  }

  @AfterEach
  void forget() {
    System.clearProperty(ClasspathModel.CACHE_PROPERTY);
  }

  private Path jar(String name, String inside) throws IOException {
    Path jar = folder.resolve(name);
    try (OutputStream out = Files.newOutputStream(jar); JarOutputStream entries = new JarOutputStream(out); Stream<Path> files = Files.list(model)) {
      for (Path file : files.toList()) {
        entries.putNextEntry(new JarEntry(inside + file.getFileName()));
        Files.copy(file, entries);
        entries.closeEntry();
      }
    }
    return jar;
  }

  private static <T> T with(Path jar, Callable<T> work) throws Exception {
    ClassLoader before = Thread.currentThread().getContextClassLoader();
    try (URLClassLoader loader = new URLClassLoader(new URL[] {jar.toUri().toURL()}, before)) {
      Thread.currentThread().setContextClassLoader(loader);
      return work.call();
    } finally {
      Thread.currentThread().setContextClassLoader(before);
    }
  }

  private List<Path> copies() throws IOException {
    try (Stream<Path> all = Files.list(cache.resolve("models"))) {
      return all.toList();
    }
  }

  @Test
  void modelInAJarIsTheModelInItsDirectory() throws Exception {
    int[] expected;
    try (LanguageModel direct = Lanes.load(model)) {
      expected = direct.generate("Hello", FIVE).outputIds();
    }
    Path jar = jar("model.jar", "some/where/");
    for (String location : List.of("classpath:some/where", "classpath:some/where/")) {
      assertThat(with(jar, () -> Lanes.isOnClassPath(location))).isTrue();
      try (LanguageModel packed = with(jar, () -> Lanes.load(location))) {
        assertThat(packed.generate("Hello", FIVE).outputIds()).isEqualTo(expected);
        assertThat(packed.info().directory()).startsWith(cache);
      }
    }
    assertThat(copies()).hasSize(1);
    try (LanguageModel byPath = Lanes.load(model.toString(), LoadOptions.defaults())) {
      assertThat(byPath.generate("Hello", FIVE).outputIds()).isEqualTo(expected);
    }
  }

  @Test
  void damagedCopiesAreMadeAgainAndOtherContentGetsAnotherFolder() throws Exception {
    Path jar = jar("one.jar", "m/");
    Path copy = with(jar, () -> Lanes.directory("classpath:m"));
    byte[] weights = Files.readAllBytes(copy.resolve("model.safetensors"));
    Files.write(copy.resolve("model.safetensors"), new byte[] {1, 2, 3});
    Files.delete(copy.resolve("tokenizer.json"));
    assertThat(with(jar, () -> Lanes.directory("classpath:m"))).isEqualTo(copy);
    assertThat(copy.resolve("model.safetensors")).hasBinaryContent(weights);
    assertThat(copy.resolve("tokenizer.json")).exists();
    try (Stream<Path> files = Files.list(copy)) {
      assertThat(files).as("nothing half-written stays").noneMatch(file -> file.getFileName().toString().startsWith("part"));
    }
    TinyCheckpoint.llama(model, TestSeed.value() + 1);
    assertThat(with(jar("two.jar", "m/"), () -> Lanes.directory("classpath:m"))).isNotEqualTo(copy);
    assertThat(copies()).hasSize(2);
  }

  @Test
  void whatIsNotThereIsNamed() throws IOException {
    assertThat(Lanes.isOnClassPath("classpath:no/such/folder")).isFalse();
    assertThat(Lanes.isOnClassPath(model.toString())).isFalse();
    assertThatThrownBy(() -> Lanes.load("classpath:no/such/folder")).isInstanceOf(InvalidModelException.class)
        .hasMessageContaining(Path.of("no/such/folder/config.json").toString()).hasMessageContaining("class path");
    assertThatThrownBy(() -> Lanes.load("bad\0path")).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Lanes.load((String) null)).isInstanceOf(NullPointerException.class);
    Files.writeString(cache, "in the way");
    Path jar = jar("model.jar", "m/");
    assertThatThrownBy(() -> with(jar, () -> Lanes.directory("classpath:m"))).isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining(ClasspathModel.CACHE_PROPERTY);
  }
}
