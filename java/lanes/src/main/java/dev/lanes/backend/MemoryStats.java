package dev.lanes.backend;

import java.util.Map;

/**
 * Bytes that backends hold outside the Java heap, for the whole process.
 *
 * @param live live bytes by purpose
 * @param liveTotal their sum
 * @param peakTotal the highest sum since the start, or since {@link Backend#resetMemoryPeak()}
 */
public record MemoryStats(Map<MemoryTag, Long> live, long liveTotal, long peakTotal) {
  public MemoryStats {
    live = Map.copyOf(live);
  }
}
