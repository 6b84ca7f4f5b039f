package dev.lanes.token.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/** Turns the values that a caller passes into values of the template, copying them, and counts how large they are. */
final class InputValues {
  /** Only there for {@link Dict#put}, which charges for keys; keys are plain strings here. */
  private final Render unlimited = Render.unlimited();
  private long size;

  /** Characters and elements converted so far. */
  long size() {
    return size;
  }

  Object convert(String name, Object value) {
    return convert(name, value, 0);
  }

  private Object convert(String name, Object value, int depth) {
    if (depth > Limits.DEPTH) {
      throw new IllegalArgumentException("the template variable '" + name + "' is nested more than " + Limits.DEPTH + " deep");
    }
    size++;
    if (value == null || value instanceof Boolean || value instanceof Long || value instanceof Double) {
      return value;
    }
    if (value instanceof String s) {
      size += s.length();
      return s;
    }
    if (value instanceof Number number) {
      return convertNumber(name, number);
    }
    if (value instanceof Map<?, ?> map) {
      Dict dict = new Dict();
      map.forEach((key, item) -> {
        if (!(key instanceof String s)) {
          throw new IllegalArgumentException("the template variable '" + name + "' has a map key that is no String: " + key);
        }
        size += s.length();
        dict.put(s, convert(name, item, depth + 1), unlimited);
      });
      return dict;
    }
    if (value instanceof Collection<?> collection) {
      List<Object> list = new ArrayList<>(collection.size());
      for (Object item : collection) {
        list.add(convert(name, item, depth + 1));
      }
      return list;
    }
    throw new IllegalArgumentException("the template variable '" + name + "' holds a " + value.getClass().getName()
        + "; expected Map, Collection, String, Number, Boolean or null");
  }

  private static Object convertNumber(String name, Number number) {
    if (number instanceof Integer || number instanceof Short || number instanceof Byte) {
      return number.longValue();
    }
    if (number instanceof BigInteger big) {
      if (big.bitLength() > Limits.INTEGER_BITS) {
        throw new IllegalArgumentException("the template variable '" + name + "' holds an integer of " + big.bitLength() + " bits");
      }
      return Numbers.normalize(big);
    }
    if (number instanceof Float || number instanceof BigDecimal) {
      return number.doubleValue();
    }
    throw new IllegalArgumentException("the template variable '" + name + "' holds a number of type " + number.getClass().getName());
  }
}
