package dev.lanes.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.TestDevices;
import dev.lanes.TestSeed;
import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.jni.NativeInternals;
import dev.lanes.engine.EngineFixture.Ask;
import dev.lanes.engine.EngineFixture.Setup;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a step costs on the way to the kernels. */
class NativeStepTest {
  @TempDir
  static Path directory;

  @BeforeAll
  static void write() {
    TinyCheckpoint.llama(directory, TestSeed.value());
  }

  /** From the first embedding to the chosen tokens, their log-probabilities included. */
  @Test
  void aDecodeStepIsOneNativeCall() throws Exception {
    List<Long> calls = new ArrayList<>();
    EngineFixture[] holder = new EngineFixture[1];
    Setup setup = Setup.of(BackendOptions.Device.valueOf(TestDevices.best().name())).withoutPoison().withStep(step -> batch -> {
      calls.add(holder[0] == null ? -1 : NativeInternals.runs(holder[0].backend));
      return step.forward(batch);
    });
    try (EngineFixture fixture = new EngineFixture(directory, setup)) {
      holder[0] = fixture;
      List<Ask> asks = List.of(Ask.of(EngineFixture.prompt(TestSeed.random(), 9), 6).with(new Sampling(0, 0, 1, 0, 1, 0, 2)),
          Ask.of(EngineFixture.prompt(TestSeed.random(), 9), 6).with(new Sampling(0, 0, 1, 0, 1, 0, 4)));
      for (Collector one : fixture.startTogether(asks)) {
        one.await();
      }
    }
    assertThat(calls).hasSizeGreaterThanOrEqualTo(6);
    for (int i = 1; i < calls.size(); i++) {
      assertThat(calls.get(i) - calls.get(i - 1)).as("calls in step %d of %s", i - 1, calls).isEqualTo(1);
    }
  }
}
