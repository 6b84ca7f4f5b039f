package dev.lanes.backend;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.backend.jni.NativeBackend;
import dev.lanes.backend.reference.ReferenceBackend;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** After each test, the live bytes of both kinds of memory are what they were before it. */
public final class MemoryBaseline implements BeforeEachCallback, AfterEachCallback {
  private static final ExtensionContext.Namespace NAMESPACE = ExtensionContext.Namespace.create(MemoryBaseline.class);

  private record Live(MemoryStats nativeMemory, MemoryStats heap) {
    static Live now() {
      MemoryStats n = NativeBackend.nativeMemory();
      try (ReferenceBackend reference = new ReferenceBackend(1, "a test")) {
        return new Live(n, reference.memory());
      }
    }
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    context.getStore(NAMESPACE).put("live", Live.now());
  }

  @Override
  public void afterEach(ExtensionContext context) {
    Live before = context.getStore(NAMESPACE).get("live", Live.class);
    Live after = Live.now();
    assertThat(after.nativeMemory().live()).as("live native bytes after the test").isEqualTo(before.nativeMemory().live());
    assertThat(after.heap().live()).as("live bytes of reference backends after the test").isEqualTo(before.heap().live());
  }
}
