package dev.lanes;

import java.util.Objects;

/** Checks of options; the messages name the option, its value and what was expected. */
final class Check {
  private Check() {}

  static int atLeast(String name, int value, int minimum) {
    if (value < minimum) {
      throw new IllegalArgumentException(name + " is " + value + ", expected " + minimum + " or more");
    }
    return value;
  }

  static long atLeast(String name, long value, long minimum) {
    if (value < minimum) {
      throw new IllegalArgumentException(name + " is " + value + ", expected " + minimum + " or more");
    }
    return value;
  }

  static int range(String name, int value, int minimum, int maximum) {
    if (value < minimum || value > maximum) {
      throw new IllegalArgumentException(name + " is " + value + ", expected " + minimum + " to " + maximum);
    }
    return value;
  }

  /** Ids of a prompt or of stop tokens: never null; none outside of the vocabulary is let through later. */
  static int[] ids(String name, int[] ids) {
    Objects.requireNonNull(ids, name + " is null");
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0) {
        throw new IllegalArgumentException(name + "[" + i + "] is " + ids[i] + ", expected 0 or more");
      }
    }
    return ids.clone();
  }
}
