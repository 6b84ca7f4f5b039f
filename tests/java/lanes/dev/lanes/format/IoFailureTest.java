package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import org.junit.jupiter.api.Test;

class IoFailureTest {
  @Test
  void saysWhyWithoutThePath() {
    assertThat(IoFailure.why(new AccessDeniedException("/m/config.json"))).isEqualTo("access denied");
    assertThat(IoFailure.why(new FileSystemException("/m/config.json", null, "Input/output error"))).isEqualTo("Input/output error");
    assertThat(IoFailure.why(new NoSuchFileException("/m/config.json"))).isEqualTo("NoSuchFileException");
    assertThat(IoFailure.why(new IOException("Stale file handle"))).isEqualTo("Stale file handle");
    assertThat(IoFailure.why(new IOException())).isEqualTo("IOException");
  }
}
