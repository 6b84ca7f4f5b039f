package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.backend.BackendOptions.Device;
import dev.lanes.backend.BackendOptions.Isa;
import dev.lanes.error.NativeException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Which backend is opened, and what it says of itself. */
@ExtendWith(MemoryBaseline.class)
class BackendsTest {
  @Test
  void describesItself() {
    for (BackendOptions options : TestBackends.natives()) {
      try (Backend b = Backends.open(options.withThreads(3))) {
        BackendInfo info = b.info();
        assertThat(info.name()).isEqualTo("cpu");
        assertThat(info.isa()).isEqualToIgnoringCase(options.isa().name());
        assertThat(info.threads()).isEqualTo(3);
        assertThat(info.why()).contains("native kernels").doesNotContain("\n");
        assertThat(info.implementations()).containsKeys("linear", "attention", "sample");
        assertThat(info.implementations().get("linear")).isEqualTo(info.isa());
      }
    }
    try (Backend b = Backends.open(TestBackends.reference())) {
      assertThat(b.info().name()).isEqualTo("reference");
      assertThat(b.info().isa()).isEqualTo("java");
      assertThat(b.info().bf16Dot()).isFalse();
    }
  }

  @Test
  void automaticIsNativeWhereItCanBe() {
    try (Backend b = Backends.open(new BackendOptions(Device.AUTO, 0, Isa.AUTO))) {
      BackendInfo info = b.info();
      assertThat(info.threads()).isPositive();
      assertThat(info.library()).isNotEmpty();
      assertThat(b.availableBytes()).isPositive();
      if (info.isGpu()) {
        assertThat(info.why()).startsWith("native kernels").contains(info.device().substring("cuda:0 ".length()));
        assertThat(info.memory()).isEqualTo("memory of " + info.device());
      } else {
        assertThat(info.name()).isEqualTo("cpu");
        assertThat(info.why()).startsWith("no CUDA device: ").contains("; native kernels");
        assertThat(info.memory()).isEqualTo("memory");
      }
    }
  }

  /** An objection to the GPU is the CPU's reason; nobody asks where there is no choice. */
  @Test
  void objectionsToAGpu() {
    boolean gpu;
    try (Backend b = Backends.open(new BackendOptions(Device.AUTO, 0, Isa.AUTO), found -> "planted")) {
      assertThat(b.info().name()).isEqualTo("cpu");
      gpu = b.info().why().startsWith("planted; native kernels");
      assertThat(gpu || b.info().why().startsWith("no CUDA device: ")).as(b.info().why()).isTrue();
    }
    try (Backend b = Backends.open(new BackendOptions(Device.CPU, 0, Isa.AUTO), found -> "planted")) {
      assertThat(b.info().why()).doesNotContain("planted");
    }
    if (gpu) {
      assertThatThrownBy(() -> Backends.open(new BackendOptions(Device.AUTO, 0, Isa.AUTO), found -> {
        throw new IllegalStateException("planted");
      })).isInstanceOf(IllegalStateException.class).hasMessage("planted");
    }
  }

  @Test
  void aGpuThatIsNotThereIsNamed() {
    assertThatThrownBy(() -> Backends.open(new BackendOptions(Device.CUDA, 0, Isa.AUTO).withDeviceIndex(1000)))
        .isInstanceOf(NativeException.class).hasMessageContaining("no CUDA device");
  }

  @Test
  void refusesWrongOptions() {
    assertThatThrownBy(() -> new BackendOptions(Device.CPU, -1, Isa.AUTO)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("threads is -1");
    assertThatThrownBy(() -> new BackendOptions(Device.CPU, 100_000, Isa.AUTO)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new BackendOptions(Device.CUDA, 0, Isa.AUTO).withDeviceIndex(-1)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("deviceIndex is -1");
    assertThatThrownBy(() -> new BackendOptions(null, 1, Isa.AUTO)).isInstanceOf(NullPointerException.class);
    assertThatThrownBy(() -> new BackendOptions(Device.CPU, 1, null)).isInstanceOf(NullPointerException.class);
  }

  /** Prints which backend the system properties give. */
  public static final class Main {
    public static void main(String[] args) {
      for (int i = 0; i < 2; i++) {
        try (Backend b = Backends.open()) {
          System.out.println("opened " + b.info());
        } catch (NativeException | IllegalArgumentException e) {
          System.out.println(e);
        }
      }
    }
  }

  /** Leaves backends open, one in the middle of its work; with an argument through {@link System#exit}. */
  public static final class Careless {
    public static void main(String[] args) {
      Backend b = Backends.open(new BackendOptions(Device.CPU, 0, 4, Isa.AUTO, true, false));
      Tensor x = b.tensor(MemoryTag.OTHER, 1000, 1000);
      Thread worker = new Thread(() -> {
        while (true) {
          b.gate(new Op.Gate(Activation.SILU, x, x, x));
        }
      });
      worker.setDaemon(true);
      worker.start();
      b.gate(new Op.Gate(Activation.SILU, x, x, x));
      if (args.length > 0) {
        System.exit(0);
      }
    }
  }

  @Test
  void aJvmEndsWithBackendsOpen() throws Exception {
    run(Careless.class, List.of());
    run(Careless.class, List.of(), "exit");
  }

  private static String freshJvm(String... options) throws IOException, InterruptedException {
    return run(Main.class, List.of(options));
  }

  private static String run(Class<?> main, List<String> options, String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "--enable-native-access=ALL-UNNAMED", "-cp", System.getProperty("java.class.path")));
    command.addAll(options);
    command.add(main.getName());
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    return output;
  }

  @Test
  void systemPropertiesChoose() throws Exception {
    assertThat(freshJvm("-Ddev.lanes.backend=cpu")).contains("name=cpu");
    assertThat(freshJvm("-Ddev.lanes.backend=reference")).contains("name=reference", "was asked for");
    assertThat(freshJvm("-Ddev.lanes.isa=reference", "-Ddev.lanes.threads=3")).contains("name=cpu", "isa=reference, threads=3");
    assertThat(freshJvm("-Ddev.lanes.backend=gpu")).contains("dev.lanes.backend is \"gpu\"", "auto, cuda, cpu, reference");
    assertThat(freshJvm("-Ddev.lanes.backend=cuda", "-Ddev.lanes.device=1000")).contains("NativeException", "no CUDA device")
        .doesNotContain("opened");
    assertThat(freshJvm("-Ddev.lanes.device=-1")).contains("deviceIndex is -1");
    assertThat(freshJvm("-Ddev.lanes.isa=sse")).contains("dev.lanes.isa is \"sse\"", "auto, reference, avx2, avx512, neon");
    assertThat(freshJvm("-Ddev.lanes.threads=many")).contains("dev.lanes.threads is \"many\"");
    assertThat(freshJvm("-Ddev.lanes.threads=-3")).contains("threads is -3");
    assertThat(freshJvm("-Ddev.lanes.pinned=true")).contains("opened");
    assertThat(freshJvm("-Ddev.lanes.pinned=1")).contains("dev.lanes.pinned is \"1\"", "true or false");
  }

  /** A JVM that takes itself for one on another platform finds no library. */
  @Test
  void fallsBackOnceAndSaysSo() throws Exception {
    String output = freshJvm("-Dorg.bytedeco.javacpp.platform=linux-ppc64le");
    assertThat(output).contains("name=reference", "there is no native library of Lanes for linux-ppc64le");
    assertThat(output.split("slow pure-Java reference backend", -1)).as(output).hasSize(2);
    String forced = freshJvm("-Dorg.bytedeco.javacpp.platform=linux-ppc64le", "-Ddev.lanes.backend=cpu");
    assertThat(forced).contains("NativeException", "there is no native library of Lanes for linux-ppc64le").doesNotContain("opened");
    String byIsa = freshJvm("-Dorg.bytedeco.javacpp.platform=linux-ppc64le", "-Ddev.lanes.isa=avx2");
    assertThat(byIsa).contains("NativeException").doesNotContain("opened");
  }
}
