package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;

/** Truth, length, iteration and slicing of values. */
final class Sequences {
  private Sequences() {}

  static boolean truth(Object value) {
    if (value == null || value instanceof Undefined) {
      return false;
    }
    if (value instanceof Boolean flag) {
      return flag;
    }
    if (value instanceof Long number) {
      return number != 0;
    }
    if (value instanceof Double number) {
      return number != 0;
    }
    long length = length(value);
    return length != 0;
  }

  /** Length of a value that has one, else -1. */
  static long length(Object value) {
    if (value instanceof String s) {
      return Text.length(s);
    }
    if (value instanceof Markup markup) {
      return Text.length(markup.text());
    }
    if (value instanceof List<?> list) {
      return list.size();
    }
    if (value instanceof Tuple tuple) {
      return tuple.items().size();
    }
    if (value instanceof Dict dict) {
      return dict.size();
    }
    if (value instanceof DictView view) {
      return view.dict().size();
    }
    if (value instanceof Range range) {
      return range.length();
    }
    if (value instanceof LoopContext loop) {
      return loop.length();
    }
    return value instanceof Undefined ? 0 : -1;
  }

  /** Python's {@code len(value)}. */
  static long requireLength(Object value) {
    long length = length(value);
    if (length < 0) {
      throw new Failure("object of type '" + Types.name(value) + "' has no len()");
    }
    return length;
  }

  static boolean isIterable(Object value) {
    return length(value) >= 0 || value instanceof Generator;
  }

  static Iterator<Object> iterate(Object value, Render render) {
    if (value instanceof Dict || value instanceof DictView) {
      render.charge(length(value) * Limits.ELEMENT);
      return elements(value).iterator();
    }
    if (value instanceof List || value instanceof Tuple) {
      return elements(value).iterator();
    }
    if (Strings.is(value)) {
      return characters(value);
    }
    if (value instanceof Range range) {
      return range.iterator();
    }
    if (value instanceof Generator generator) {
      return generator;
    }
    if (value instanceof LoopContext) {
      throw Failure.unsupported("iterating over the loop variable");
    }
    if (value instanceof Undefined) {
      return Collections.emptyIterator();
    }
    throw new Failure("'" + Types.name(value) + "' object is not iterable");
  }

  @SuppressWarnings("unchecked")
  private static List<Object> elements(Object collection) {
    if (collection instanceof Tuple tuple) {
      return tuple.items();
    }
    if (collection instanceof Dict dict) {
      return dict.keys();
    }
    return collection instanceof DictView view ? view.elements() : (List<Object>) collection;
  }

  private static Iterator<Object> characters(Object string) {
    String text = Strings.text(string);
    return new Iterator<>() {
      private int position;

      @Override
      public boolean hasNext() {
        return position < text.length();
      }

      @Override
      public Object next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        int start = position;
        position += Character.charCount(text.codePointAt(start));
        return text.substring(start, position);
      }
    };
  }

  /** All elements; a fresh list, or the value itself where it is a list. */
  @SuppressWarnings("unchecked")
  static List<Object> toList(Object value, Render render) {
    if (value instanceof List) {
      render.charge(((List<Object>) value).size());
      return (List<Object>) value;
    }
    List<Object> list = new ArrayList<>();
    for (Iterator<Object> elements = iterate(value, render); elements.hasNext(); ) {
      render.charge(Limits.ELEMENT);
      list.add(elements.next());
    }
    return list;
  }

  /** Elements from last to first of a value that Python can reverse, or null. */
  static Iterator<Object> reversed(Object value, Render render) {
    if (value instanceof Range range) {
      return range.reversed().iterator();
    }
    boolean reversible = value instanceof List || value instanceof Tuple || value instanceof Dict || value instanceof DictView
        || Strings.is(value) || value instanceof Undefined;
    if (!reversible) {
      return null;
    }
    List<Object> list = new ArrayList<>(toList(value, render));
    Collections.reverse(list);
    return list.iterator();
  }

  static String reverse(String s, Render render) {
    render.charge(s.length());
    return new StringBuilder(s).reverse().toString();
  }

  /** Python's {@code value[start:stop:step]}; null stands for a bound left out. */
  static Object slice(Object value, Object start, Object stop, Object step, Render render) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    boolean sliceable = Strings.is(value) || value instanceof List || value instanceof Tuple || value instanceof Range;
    if (!sliceable) {
      throw new Failure(value instanceof Dict ? "unhashable type: 'slice'" : "'" + Types.name(value) + "' object is not subscriptable");
    }
    long by = step == null ? 1 : sliceIndex(step);
    if (by == 0) {
      throw new Failure("slice step cannot be zero");
    }
    long length = length(value);
    long from = bound(start, length, by, by > 0 ? 0 : length - 1);
    long to = bound(stop, length, by, by > 0 ? length : -1);
    if (value instanceof Range range) {
      // A step so large that only one element is left may be any that leads past the end.
      long stride = Math.max(-Limits.RANGE, Math.min(Limits.RANGE, by));
      return new Range(range.get(from), range.get(to), range.step() * stride);
    }
    if (Strings.is(value)) {
      return Strings.like(value, sliceText(Strings.text(value), (int) length, from, to, by, render));
    }
    List<?> items = elements(value);
    List<Object> result = new ArrayList<>();
    for (long i = from; by > 0 ? i < to : i > to; i = step(i, by)) {
      render.charge(Limits.COPY);
      result.add(items.get((int) i));
    }
    return value instanceof Tuple ? new Tuple(result) : result;
  }

  private static long step(long index, long by) {
    long next = index + by;
    return by > 0 && next < index ? Long.MAX_VALUE : by < 0 && next > index ? Long.MIN_VALUE : next;
  }

  private static String sliceText(String text, int length, long from, long to, long by, Render render) {
    if (by == 1) {
      if (from >= to) {
        return "";
      }
      render.charge(to - from);
      return text.substring(Text.offset(text, length, (int) from), Text.offset(text, length, (int) to));
    }
    int[] characters = text.codePoints().toArray();
    render.charge(length);
    Output out = new Output(render);
    for (long i = from; by > 0 ? i < to : i > to; i = step(i, by)) {
      out.appendCodePoint(characters[(int) i]);
    }
    return out.toString();
  }

  private static long sliceIndex(Object value) {
    if (!Numbers.isInteger(value)) {
      if (value instanceof Undefined) {
        throw new Failure("slice indices must be integers or None, not Undefined");
      }
      throw new Failure("slice indices must be integers or None, not " + Types.name(value));
    }
    return Numbers.index(value, "slice");
  }

  private static long bound(Object value, long length, long by, long missing) {
    if (value == null) {
      return missing;
    }
    long index = sliceIndex(value);
    if (index < 0) {
      index += length;
      return index < 0 ? by < 0 ? -1 : 0 : index;
    }
    return index >= length ? by < 0 ? length - 1 : length : index;
  }

  /** The element at an index as Python counts, or {@link Undefined#MISSING} if it is out of range. */
  static Object element(Object sequence, long index) {
    long length = length(sequence);
    long at = index < 0 ? index + length : index;
    if (at < 0 || at >= length) {
      return Undefined.MISSING;
    }
    if (sequence instanceof Range range) {
      return range.get(at);
    }
    if (Strings.is(sequence)) {
      String text = Strings.text(sequence);
      int start = Text.offset(text, (int) length, (int) at);
      return Strings.like(sequence, text.substring(start, start + Character.charCount(text.codePointAt(start))));
    }
    return elements(sequence).get((int) at);
  }

  /** Assigns the elements of a value to as many targets, as {@code a, b = value} does. */
  static Object[] unpack(Object value, int count, Render render) {
    if (!isIterable(value)) {
      throw new Failure("cannot unpack non-iterable " + Types.name(value) + " object");
    }
    Iterator<Object> elements = iterate(value, render);
    Object[] result = new Object[count];
    for (int i = 0; i < count; i++) {
      if (!elements.hasNext()) {
        throw new Failure("not enough values to unpack (expected " + count + ", got " + i + ")");
      }
      result[i] = elements.next();
    }
    if (elements.hasNext()) {
      throw new Failure("too many values to unpack (expected " + count + ")");
    }
    return result;
  }

  /** Strings in the string type of the model. */
  static List<Object> listOf(List<String> strings, Object model, Render render) {
    render.charge(strings.size() * Limits.ELEMENT);
    List<Object> list = new ArrayList<>(strings.size());
    strings.forEach(s -> list.add(Strings.like(model, s)));
    return list;
  }

  static List<Object> listOf(Object... values) {
    return Arrays.asList(values);
  }
}
