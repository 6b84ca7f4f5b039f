package dev.lanes.backend.jni;

import dev.lanes.backend.MemoryTag;
import dev.lanes.error.InsufficientMemoryException;
import java.nio.ByteBuffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;

/**
 * Native memory that the arrays of ops are copied into, reused when no op waits any more. Used under the backend's lock: {@link #begin},
 * then one call for each array, which returns its address. An array that a waiting op brought along is not copied again.
 */
final class Staging {
  private static final int ALIGNMENT = 8;
  private static final int FIRST_BYTES = 1 << 16;
  /** Grown to on behalf of several ops; one that needs more gets it. */
  private static final int MOST_BYTES = 1 << 26;
  private static final int KNOWN = 16;

  private final Resource.Owner owner;
  private final CallQueue queue;
  private Resource block;
  private long address;
  private ByteBuffer bytes;
  private IntBuffer ints;
  private LongBuffer longs;
  private FloatBuffer floats;
  private DoubleBuffer doubles;
  private int used;
  /** Arrays that lie here already, and where: the ops of a step share many. */
  private final Object[] known = new Object[KNOWN];
  private final long[] knownAddress = new long[KNOWN];
  private int knownCount;

  Staging(Resource.Owner owner, CallQueue queue) {
    this.owner = owner;
    this.queue = queue;
    grow(FIRST_BYTES);
  }

  /** Bytes that an array takes here. */
  static long size(long elements, int elementBytes) {
    return (elements * elementBytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** Makes room for {@code needed} bytes, the sum of {@link #size} over this op's arrays; those of waiting ops are kept. */
  void begin(long needed) {
    if (queue.isEmpty()) {
      forget();
    }
    long wanted = used + needed;
    if (wanted <= bytes.capacity()) {
      return;
    }
    queue.flush();
    forget();
    if (needed > Integer.MAX_VALUE / 2) {
      throw new InsufficientMemoryException("the arrays of an op take " + needed + " bytes, more than can be passed at once", needed,
          Integer.MAX_VALUE / 2);
    }
    // Room for what came before as well: the next step like this one goes down in one piece.
    long size = Math.max(needed, Math.min(Math.max(wanted, 2L * bytes.capacity()), MOST_BYTES));
    if (size > bytes.capacity()) {
      Resource old = block;
      grow(size);
      old.release();
    }
  }

  private void forget() {
    used = 0;
    Arrays.fill(known, null);
    knownCount = 0;
  }

  private void grow(long size) {
    block = Resource.block(owner, "staging memory", MemoryTag.SCRATCH, size);
    address = block.address();
    bytes = Struct.buffer(new Address(address), size);
    ints = bytes.asIntBuffer();
    longs = bytes.asLongBuffer();
    floats = bytes.asFloatBuffer();
    doubles = bytes.asDoubleBuffer();
  }

  /** The whole memory; positions are what {@link #reserve} returned. */
  ByteBuffer bytes() {
    return bytes;
  }

  long address(int position) {
    return address + position;
  }

  /** Room for an array; its position in bytes. */
  int reserve(int elements, int elementBytes) {
    int position = used;
    used += (int) size(elements, elementBytes);
    return position;
  }

  /** Where an array was put that no op can have changed since, as one that waits needs it; or 0. */
  long find(Object array) {
    for (int i = 0; i < knownCount; i++) {
      if (known[i] == array) {
        return knownAddress[i];
      }
    }
    return 0;
  }

  /** For {@link #find}. There is room for the arrays of a step; more are copied again. */
  long remember(Object array, long where) {
    if (knownCount < KNOWN) {
      known[knownCount] = array;
      knownAddress[knownCount++] = where;
    }
    return where;
  }

  long put(int[] values) {
    long there = find(values);
    if (there != 0) {
      return there;
    }
    int position = reserve(values.length, Integer.BYTES);
    ints.put(position / Integer.BYTES, values);
    return remember(values, address + position);
  }

  /** Copies a row of a matrix whose place was reserved. */
  void putAt(int position, int[] values) {
    ints.put(position / Integer.BYTES, values);
  }

  /** Fills ints of a place that was reserved. */
  void fillAt(int position, int count, int value) {
    for (int i = 0; i < count; i++) {
      ints.put(position / Integer.BYTES + i, value);
    }
  }

  long put(long[] values) {
    long there = find(values);
    if (there != 0) {
      return there;
    }
    int position = reserve(values.length, Long.BYTES);
    longs.put(position / Long.BYTES, values);
    return remember(values, address + position);
  }

  long put(float[] values) {
    int position = reserve(values.length, Float.BYTES);
    floats.put(position / Float.BYTES, values);
    return address + position;
  }

  long put(double[] values) {
    int position = reserve(values.length, Double.BYTES);
    doubles.put(position / Double.BYTES, values);
    return address + position;
  }

  void get(int position, int[] values) {
    ints.get(position / Integer.BYTES, values);
  }

  void get(int position, float[] values) {
    floats.get(position / Float.BYTES, values);
  }
}
