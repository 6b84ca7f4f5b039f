package dev.lanes.backend;

import java.lang.ref.Cleaner;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Frees what a handle held when the handle became unreachable without having been closed, and says so in the log.
 * The first few of a process are warnings, the others are logged at DEBUG.
 */
public final class Forgotten {
  /** What a handle holds. It must not refer to the handle. */
  public interface Resource {
    /** What it is, for the log. */
    String describe();

    /** Gives it back; true if it was still held. Any thread may call this, any number of times. */
    boolean release();
  }

  private static final int WARNINGS = 16;
  private static final Cleaner CLEANER = Cleaner.create();
  private static final AtomicInteger COUNT = new AtomicInteger();

  private Forgotten() {}

  /** Watches {@code handle}. Its close() releases the resource and then cleans what this returns. */
  public static Cleaner.Cleanable watch(Object handle, Resource resource) {
    return CLEANER.register(handle, () -> {
      if (resource.release()) {
        report(resource.describe());
      }
    });
  }

  private static void report(String what) {
    System.Logger logger = System.getLogger("dev.lanes.backend");
    int count = COUNT.incrementAndGet();
    String tail = count == WARNINGS ? " (further ones are logged at DEBUG)" : "";
    logger.log(count <= WARNINGS ? System.Logger.Level.WARNING : System.Logger.Level.DEBUG,
        "{0} was never closed; its memory has been freed now, but should have been by close(){1}", what, tail);
  }
}
