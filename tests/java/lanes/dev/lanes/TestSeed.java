package dev.lanes;

import java.util.Random;

/** Seeds of random tests: fixed, unless the system property {@code lanes.test.seed} or LANES_TEST_SEED says otherwise. */
public final class TestSeed {
  private static final long DEFAULT = 20260101;

  private TestSeed() {}

  public static long value() {
    String given = System.getProperty("lanes.test.seed", System.getenv("LANES_TEST_SEED"));
    return given == null || given.isBlank() ? DEFAULT : Long.parseLong(given.trim());
  }

  public static Random random() {
    return new Random(value());
  }

  /** For the description of an assertion. */
  public static String note() {
    return "seed " + value() + " (-Dlanes.test.seed=" + value() + " repeats it)";
  }
}
