package dev.lanes.backend.reference;

import dev.lanes.backend.Forgotten;
import dev.lanes.backend.MemoryStats;
import dev.lanes.backend.MemoryTag;
import dev.lanes.error.InsufficientMemoryException;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/** Heap arrays of a tensor, a weight or a pool of pages, with the process-wide count of their bytes. */
final class Storage<T> implements Forgotten.Resource {
  private static final long[] LIVE = new long[MemoryTag.values().length];
  private static long liveTotal;
  private static long peakTotal;

  private final Set<Storage<?>> owner;
  private final String name;
  private final MemoryTag tag;
  private final long bytes;
  private T arrays;

  /**
   * @param owner the backend's live storages; guards the state of all of them
   * @param name what this is, for messages
   */
  Storage(Set<Storage<?>> owner, String name, MemoryTag tag, long bytes, Supplier<T> allocation) {
    this.owner = owner;
    this.name = name;
    this.tag = tag;
    this.bytes = bytes;
    Runtime runtime = Runtime.getRuntime();
    long available = runtime.maxMemory() - runtime.totalMemory() + runtime.freeMemory();
    String problem = name + " takes " + bytes + " bytes of the Java heap, of which " + available + " are free; raise -Xmx";
    if (bytes > runtime.maxMemory()) {
      throw new InsufficientMemoryException(problem, bytes, available);
    }
    try {
      arrays = allocation.get();
    } catch (OutOfMemoryError e) {
      throw new InsufficientMemoryException(problem, bytes, available);
    }
    synchronized (owner) {
      owner.add(this);
    }
    count(bytes);
  }

  long bytes() {
    return bytes;
  }

  /** The arrays; to be called and used under the owner's lock. */
  T get() {
    T live = arrays;
    if (live == null) {
      throw new IllegalStateException(name + " is closed");
    }
    return live;
  }

  @Override
  public String describe() {
    return name + " (" + bytes + " bytes)";
  }

  @Override
  public boolean release() {
    synchronized (owner) {
      if (arrays == null) {
        return false;
      }
      arrays = null;
      owner.remove(this);
    }
    count(-bytes);
    return true;
  }

  private void count(long change) {
    synchronized (LIVE) {
      LIVE[tag.ordinal()] += change;
      liveTotal += change;
      peakTotal = Math.max(peakTotal, liveTotal);
    }
  }

  static MemoryStats stats() {
    synchronized (LIVE) {
      Map<MemoryTag, Long> live = new EnumMap<>(MemoryTag.class);
      for (MemoryTag tag : MemoryTag.values()) {
        live.put(tag, LIVE[tag.ordinal()]);
      }
      return new MemoryStats(live, liveTotal, peakTotal);
    }
  }

  static void resetPeak() {
    synchronized (LIVE) {
      peakTotal = liveTotal;
    }
  }
}
