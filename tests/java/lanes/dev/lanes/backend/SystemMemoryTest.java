package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SystemMemoryTest {
  @TempDir
  Path root;

  private void file(String name, String content) {
    try {
      Path file = root.resolve(name);
      Files.createDirectories(file.getParent());
      Files.writeString(file, content);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private long available() {
    return new SystemMemory(root.resolve("proc"), root.resolve("cgroup")).available();
  }

  @Test
  void whatTheMachineSays() {
    file("proc/meminfo", "MemTotal: 999 kB\nMemFree: 10 kB\nMemAvailable:    500 kB\n");
    assertThat(available()).isEqualTo(500 << 10);
  }

  @Test
  void nothingKnownMeansNoLimit() {
    assertThat(available()).isGreaterThan(1L << 60);
  }

  @Test
  void aContainersLimitLessWhatItUsesPlusItsPageCache() {
    file("proc/meminfo", "MemAvailable: 8000000 kB\n");
    file("proc/self/cgroup", "0::/\n");
    file("cgroup/memory.max", "1000000\n");
    file("cgroup/memory.current", "700000\n");
    file("cgroup/memory.stat", "anon 5\ninactive_file 200000\n");
    assertThat(available()).isEqualTo(500000);
    file("cgroup/memory.max", "max\n");
    assertThat(available()).isEqualTo(8000000L << 10);
  }

  @Test
  void theTightestOfNestedGroups() {
    file("proc/self/cgroup", "0::/outer/inner\n");
    file("cgroup/outer/memory.max", "1000\n");
    file("cgroup/outer/memory.current", "900\n");
    file("cgroup/outer/inner/memory.max", "500\n");
    file("cgroup/outer/inner/memory.current", "100\n");
    assertThat(available()).isEqualTo(100);
  }

  @Test
  void version1Groups() {
    file("proc/self/cgroup", "12:cpu:/x\n5:memory:/docker/abc\n");
    file("cgroup/memory/memory.limit_in_bytes", "5000\n");
    file("cgroup/memory/memory.usage_in_bytes", "6000\n");
    assertThat(available()).isZero();
  }

  @Test
  void aPathThatLeavesTheTreeIsNotFollowed() {
    file("proc/self/cgroup", "0::/../../elsewhere\n");
    file("elsewhere/memory.max", "1\n");
    file("elsewhere/memory.current", "1\n");
    assertThat(available()).isGreaterThan(1L << 60);
  }

  @Test
  void thisMachine() {
    assertThat(SystemMemory.availableBytes()).isPositive();
  }
}
