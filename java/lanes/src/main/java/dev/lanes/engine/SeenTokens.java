package dev.lanes.engine;

import java.util.Arrays;
import java.util.BitSet;

/** The different tokens of a sequence, for the repetition penalty. */
final class SeenTokens {
  private final BitSet known = new BitSet();
  private int[] ids = new int[16];
  private int count;

  void add(int id) {
    if (!known.get(id)) {
      known.set(id);
      if (count == ids.length) {
        ids = Arrays.copyOf(ids, count * 2);
      }
      ids[count++] = id;
    }
  }

  int[] toArray() {
    return Arrays.copyOf(ids, count);
  }
}
