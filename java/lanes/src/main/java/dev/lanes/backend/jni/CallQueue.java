package dev.lanes.backend.jni;

import dev.lanes.backend.MemoryTag;
import dev.lanes.kernels.Call;
import dev.lanes.kernels.RuntimeHandle;
import dev.lanes.kernels.global.lanes;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Loader;

/**
 * Ops that wait to be run by one native call. A step of a model is some hundred ops, and the way from Java into each costs about as
 * much as the smallest of them take: code and data of both sides have been driven from the caches by the weights in between. Here Java
 * writes all of them down in one go, and the native side runs them in one go.
 *
 * <p>Used under the backend's lock, which is held as long as the queue is open: nothing that a waiting op needs is given back
 * meanwhile. Whoever looks at results, or makes a native call of its own, flushes first.
 */
final class CallQueue {
  /** A step of a model of two hundred layers. */
  private static final int CALLS = 2048;
  private static final int PARAMS_BYTES = 1 << 19;

  private final RuntimeHandle runtime;
  private final Call table;
  private final ByteBuffer calls;
  private final ByteBuffer params;
  private final long paramsAddress;
  private final int callBytes = Loader.sizeof(Call.class);
  private final int kindOffset = Loader.offsetof(Call.class, "kind");
  private final int paramsOffset = Loader.offsetof(Call.class, "params");
  private int count;
  private int used;
  private int open;
  private long runs;
  private final List<Runnable> results = new ArrayList<>();

  CallQueue(Resource.Owner owner, RuntimeHandle runtime) {
    this.runtime = runtime;
    Resource block = Resource.block(owner, "ops that wait", MemoryTag.OTHER, PARAMS_BYTES + (long) CALLS * callBytes);
    paramsAddress = block.address();
    params = Struct.buffer(new Address(paramsAddress), PARAMS_BYTES);
    long callsAddress = paramsAddress + PARAMS_BYTES;
    calls = Struct.buffer(new Address(callsAddress), (long) CALLS * callBytes);
    table = new Call(new Address(callsAddress));
  }

  /** From here on ops wait. */
  void open() {
    open++;
  }

  /** Runs what waits, unless somebody else has opened the queue as well; from the last one on ops run at once. */
  void close() {
    open--;
    if (open == 0) {
      flush();
    }
  }

  /** Native calls so far. */
  long runs() {
    return runs;
  }

  boolean isEmpty() {
    return count == 0;
  }

  /** Runs the op that the struct describes, or lets it wait. What the struct points to stays as it is until then. */
  void add(int kind, Struct<?> struct) {
    add(kind, struct, null);
  }

  /** @param whenRun takes the op's results from where it wrote them; or null */
  void add(int kind, Struct<?> struct, Runnable whenRun) {
    int bytes = struct.bytes();
    if (count == CALLS || used + bytes > PARAMS_BYTES) {
      flush();
    }
    struct.copyTo(params, used);
    int at = count * callBytes;
    calls.putInt(at + kindOffset, kind);
    calls.putLong(at + paramsOffset, paramsAddress + used);
    count++;
    used += bytes;
    if (whenRun != null) {
      results.add(whenRun);
    }
    if (open == 0) {
      flush();
    }
  }

  /** Runs what waits. The first op that fails throws what it would have thrown by itself; those behind it are dropped. */
  void flush() {
    if (count > 0) {
      int waiting = count;
      count = 0;
      used = 0;
      runs++;
      try {
        Status.check(lanes.lanes_run(runtime, table, waiting));
        results.forEach(Runnable::run);
      } finally {
        results.clear();
      }
    }
  }
}
