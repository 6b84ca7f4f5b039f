package dev.lanes.bench.harness;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/** Random numbers in [-1, 1), the same in every run. */
public final class RandomData {
  private static final long SEED = 20260101;

  private RandomData() {}

  public static float[] floats(int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    float[] values = new float[count];
    for (int i = 0; i < count; i += 2) {
      long bits = random.nextLong();
      values[i] = unit((int) bits);
      if (i + 1 < count) {
        values[i + 1] = unit((int) (bits >>> 32));
      }
    }
    return values;
  }

  /** Little-endian float32 outside the heap. */
  public static ByteBuffer floatBytes(int count) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(Math.multiplyExact(count, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(floats(count));
    return bytes;
  }

  public static int[] ids(int count, int bound) {
    return new SplittableRandom(SEED).ints(count, 0, bound).toArray();
  }

  private static float unit(int bits) {
    return bits * 0x1p-31f;
  }
}
