package dev.lanes.token.template;

import java.util.Iterator;
import java.util.NoSuchElementException;

/** A Python range of at most {@link Limits#RANGE} elements. */
record Range(long start, long stop, long step) {
  static Range of(long start, long stop, long step) {
    if (step == 0) {
      throw new Failure("range() arg 3 must not be zero");
    }
    Range range = new Range(start, stop, step);
    if (range.length() > Limits.RANGE) {
      throw new Failure("range too big: the sandbox blocks ranges of more than " + Limits.RANGE + " elements");
    }
    return range;
  }

  long length() {
    boolean empty = step > 0 ? start >= stop : start <= stop;
    if (empty) {
      return 0;
    }
    // The distance of two longs can exceed a signed long, not an unsigned one.
    long distance = (step > 0 ? stop - start : start - stop) - 1;
    long quotient = Long.divideUnsigned(distance, step > 0 ? step : -step);
    return quotient < 0 || quotient == Long.MAX_VALUE ? Long.MAX_VALUE : quotient + 1;
  }

  long get(long index) {
    return start + index * step;
  }

  boolean contains(long value) {
    long length = length();
    return length > 0 && (step > 0 ? value >= start && value < stop : value <= start && value > stop) && (value - start) % step == 0;
  }

  Range reversed() {
    long length = length();
    return length == 0 ? new Range(0, 0, 1) : new Range(get(length - 1), start - step, -step);
  }

  Iterator<Object> iterator() {
    long length = length();
    return new Iterator<>() {
      private long next;

      @Override
      public boolean hasNext() {
        return next < length;
      }

      @Override
      public Object next() {
        if (next >= length) {
          throw new NoSuchElementException();
        }
        return get(next++);
      }
    };
  }
}
