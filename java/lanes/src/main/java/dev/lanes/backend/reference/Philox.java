package dev.lanes.backend.reference;

/** The counter-based random numbers of Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": Philox4x32-10. */
final class Philox {
  private static final long MULTIPLIER0 = 0xD2511F53L;
  private static final long MULTIPLIER1 = 0xCD9E8D57L;
  private static final int WEYL0 = 0x9E3779B9;
  private static final int WEYL1 = 0xBB67AE85;

  private Philox() {}

  /** Encrypts the four words of a counter with the two words of a key, in ten rounds. */
  static int[] block(int[] counter, int key0, int key1) {
    int[] x = counter.clone();
    int k0 = key0;
    int k1 = key1;
    for (int round = 0; round < 10; round++) {
      long product0 = MULTIPLIER0 * Integer.toUnsignedLong(x[0]);
      long product1 = MULTIPLIER1 * Integer.toUnsignedLong(x[2]);
      int y0 = (int) (product1 >>> 32) ^ x[1] ^ k0;
      int y2 = (int) (product0 >>> 32) ^ x[3] ^ k1;
      x[1] = (int) product1;
      x[3] = (int) product0;
      x[0] = y0;
      x[2] = y2;
      k0 += WEYL0;
      k1 += WEYL1;
    }
    return x;
  }

  /** A number in [0, 1) of 53 bits, from the first two words of block (counter, 0) under the key {@code seed}. */
  static double uniform(long seed, long counter) {
    int[] words = block(new int[] {(int) counter, (int) (counter >>> 32), 0, 0}, (int) seed, (int) (seed >>> 32));
    long bits = Integer.toUnsignedLong(words[1]) << 32 | Integer.toUnsignedLong(words[0]);
    return (bits >>> 11) * 0x1p-53;
  }
}
