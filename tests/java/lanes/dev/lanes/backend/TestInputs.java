package dev.lanes.backend;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;

/** Random inputs. The seed is fixed, {@code -Dlanes.test.seed=N} changes it, and {@link #context} puts it into every failure. */
public final class TestInputs {
  public static final long SEED = Long.getLong("lanes.test.seed", 20240607L);

  private final Random random;

  /** @param stream tells the inputs of different tests apart */
  public TestInputs(String stream) {
    random = new Random(SEED * 31 + stream.hashCode());
  }

  /** A description for assertions: what, and how to get the same inputs again. */
  public static String context(Object what) {
    return what + " (-Dlanes.test.seed=" + SEED + ")";
  }

  public Random random() {
    return random;
  }

  /** Normally distributed numbers. */
  public float[] floats(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Numbers as {@code dtype} stores them. */
  public float[] floats(int count, DType dtype) {
    float[] values = floats(count);
    for (int i = 0; i < count; i++) {
      values[i] = FloatFormats.round(values[i], dtype);
    }
    return values;
  }

  public int[] ints(int count, int bound) {
    return IntStream.range(0, count).map(i -> random.nextInt(bound)).toArray();
  }

  /** Distinct numbers below {@code bound}, in random order. */
  public int[] distinct(int count, int bound) {
    int[] all = IntStream.range(0, bound).toArray();
    for (int i = 0; i < count; i++) {
      int other = i + random.nextInt(bound - i);
      int swapped = all[i];
      all[i] = all[other];
      all[other] = swapped;
    }
    return Arrays.copyOf(all, count);
  }
}
