package dev.lanes.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.kernels.global.lanes;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The generated binding against the library that it was built with. */
class BindingTest {
  @BeforeAll
  static void load() {
    NativeLibrary.load();
  }

  @Test
  void versionsAgree() {
    assertThat(lanes.lanes_abi_version()).isEqualTo(lanes.LANES_ABI_VERSION);
    assertThat(lanes.lanes_version().getString()).matches("\\d+\\.\\d+\\.\\d+.*");
  }

  @Test
  void loadingAgainDoesNothing() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      List<Callable<Integer>> calls = IntStream.range(0, 64).<Callable<Integer>>mapToObj(i -> () -> {
        NativeLibrary.load();
        return lanes.lanes_abi_version();
      }).collect(Collectors.toList());
      for (var result : threads.invokeAll(calls)) {
        assertThat(result.get()).isEqualTo(lanes.LANES_ABI_VERSION);
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void javaCppDoesNotCountTheProcess() {
    assertThat(System.getProperty("org.bytedeco.javacpp.maxPhysicalBytes")).isEqualTo("0");
    assertThat(System.getProperty("org.bytedeco.javacpp.maxBytes")).isEqualTo("0");
    assertThat(Pointer.maxPhysicalBytes()).isZero();
  }

  /** Structs begin with their size, and every field that the backend writes is where the compiler put it: past the one before. */
  @Test
  void structsHaveTheirFields() {
    assertThat(Loader.offsetof(LinearParams.class, "size")).isZero();
    int last = -1;
    for (String field : List.of("size", "weight", "m", "x", "x_len", "x_stride", "bias", "bias_len", "residual", "residual_len",
        "residual_stride", "y", "y_len", "y_stride", "activation", "compute")) {
      int offset = Loader.offsetof(LinearParams.class, field);
      assertThat(offset).as(field).isGreaterThan(last);
      last = offset;
    }
    assertThat(Loader.sizeof(LinearParams.class)).isGreaterThanOrEqualTo(last + 4);
  }

  @Test
  void memoryComesAndGoes() {
    try (MemoryStats before = stats()) {
      Pointer block = new Pointer();
      assertThat(lanes.lanes_alloc(1000, lanes.LANES_MEMORY_OTHER, block)).isEqualTo(lanes.LANES_OK);
      assertThat(block.address() % 64).isZero();
      try (MemoryStats during = stats()) {
        assertThat(during.live_total() - before.live_total()).isGreaterThanOrEqualTo(1000);
      }
      assertThat(lanes.lanes_free(block)).isEqualTo(lanes.LANES_OK);
      assertThat(lanes.lanes_free(block)).as("freed twice").isEqualTo(lanes.LANES_ERROR_INVALID_ARGUMENT);
      assertThat(lanes.lanes_last_error().getString()).contains("lanes_free");
      try (MemoryStats after = stats()) {
        assertThat(after.live_total()).isEqualTo(before.live_total());
      }
    }
  }

  private static MemoryStats stats() {
    MemoryStats stats = new MemoryStats();
    stats.size(stats.sizeof());
    assertThat(lanes.lanes_get_memory_stats(stats)).isEqualTo(lanes.LANES_OK);
    return stats;
  }
}
