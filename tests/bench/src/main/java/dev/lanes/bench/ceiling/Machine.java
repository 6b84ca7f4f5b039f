package dev.lanes.bench.ceiling;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The native side of the ceilings; see native/ceilings.c. */
public final class Machine {
  private static final long FALLBACK_CACHE_BYTES = 32L << 20;

  static {
    String library = System.getProperty("lanes.bench.library");
    if (library == null) {
      throw new IllegalStateException("-Dlanes.bench.library must give the path of liblanesbench.so; ci/bench.sh does");
    }
    System.load(Path.of(library).toAbsolutePath().toString());
    if (!hasAvx2()) {
      throw new IllegalStateException("the benchmarks need a CPU with AVX2 and FMA, as their peers do");
    }
  }

  private Machine() {}

  private static native boolean hasAvx2();

  /** Whether there are bfloat16 dot instructions; without them bfloat16 weights are multiplied in float32. */
  public static native boolean hasBf16Dot();

  /** Float multiply-adds in registers; returns the operations of all threads, two for each multiply-add. */
  static native long fma(int threads, long iterations);

  /** The same with 256-bit instructions only, as AVX2 has them. */
  static native long fma256(int threads, long iterations);

  /** The same with bfloat16 dot products summed in float32; 0 where {@link #hasBf16Dot} is false. */
  static native long bf16Dot(int threads, long iterations);

  /** Whether there are int8 dot instructions of 512 bits. */
  static native boolean hasInt8Dot();

  /** The same with int8 dot products summed in 32 bits; 0 where {@link #hasInt8Dot} is false. */
  static native long int8Dot(int threads, long iterations);

  /** Reads all bytes once, a part by each thread. */
  static native void read(int threads, long address, long bytes);

  /** Reads all bytes once and writes them back changed. */
  static native void update(int threads, long address, long bytes);

  static native long allocate(long bytes);

  static native void free(long address, long bytes);

  private static native boolean callLoaded(String library, String function, int value);

  /**
   * Sets how many OpenMP threads the calling thread's parallel regions get. The peers carry GCC's OpenMP; the setting is a thread's
   * own, so it is made before each turn.
   */
  public static void ompThreads(int threads) {
    if (!callLoaded("libgomp.so.1", "omp_set_num_threads", threads)) {
      throw new IllegalStateException("no loaded libgomp.so.1 takes omp_set_num_threads");
    }
  }

  /** Bytes of the last-level cache. */
  public static long lastLevelCacheBytes() {
    long largest = 0;
    for (int index = 0; index < 8; index++) {
      Path size = Path.of("/sys/devices/system/cpu/cpu0/cache/index" + index + "/size");
      try {
        String text = Files.readString(size, StandardCharsets.US_ASCII).strip();
        if (text.endsWith("K")) {
          largest = Math.max(largest, Long.parseLong(text.substring(0, text.length() - 1)) << 10);
        }
      } catch (IOException | NumberFormatException e) {
        continue;
      }
    }
    return largest > 0 ? largest : FALLBACK_CACHE_BYTES;
  }

  /** How many buffers of this size to rotate among so that each is out of every cache when its turn comes again. */
  public static int coldCopies(long bytes) {
    return (int) Math.max(2, (4 * lastLevelCacheBytes() + bytes - 1) / bytes);
  }
}
