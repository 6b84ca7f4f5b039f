package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Backends;
import dev.lanes.backend.Compute;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import dev.lanes.format.SyntheticModel;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Loading takes hardly more memory than what it loads, and says how far it is. */
class LoadMemoryTest {
  private static final SyntheticModel SHAPE = new SyntheticModel(4, 512, 8, 4, 1408, 4000, 512, false);
  private static final long LARGEST_TENSOR = 4000 * 512 * 2;

  @TempDir
  Path directory;

  @Test
  void thePeakIsTheWeightsAndOneTensor() throws Exception {
    SHAPE.write(directory);
    List<Long> done = new ArrayList<>();
    List<Long> totals = new ArrayList<>();
    long[] highest = {0};
    try (Backend backend = Backends.open(TestBackends.best())) {
      long before = taken(backend);
      backend.resetMemoryPeak();
      try (Checkpoint checkpoint = Checkpoint.open(directory);
          TransformerModel model = TransformerModel.load(checkpoint, ModelConfig.load(directory), backend,
              new ModelOptions(Optional.empty(), Compute.EXACT), (bytes, total, tensor) -> {
                done.add(bytes);
                totals.add(total);
                highest[0] = Math.max(highest[0], taken(backend) - before);
              })) {
        long weights = model.footprint().weightBytes();
        long stored = 2 * (SHAPE.layerParameters() + 2 * SHAPE.headParameters() + (2L * SHAPE.layers() + 1) * SHAPE.hiddenSize());
        assertThat(weights).isBetween(stored, stored + stored / 10);
        assertThat(highest[0]).isLessThanOrEqualTo(weights + weights / 10 + LARGEST_TENSOR);
        assertThat(backend.memory().peakTotal()).isLessThanOrEqualTo(before + weights + weights / 10);
        assertThat(totals).containsOnly(stored);
        assertThat(done).isSorted().last().isEqualTo(stored);
        assertThat(done.size()).isGreaterThan(20);
      }
    }
  }

  /** Native memory, and what Java holds outside its heap. */
  private static long taken(Backend backend) {
    long direct = ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream().filter(pool -> pool.getName().equals("direct"))
        .mapToLong(BufferPoolMXBean::getMemoryUsed).sum();
    return backend.memory().liveTotal() + direct;
  }
}
