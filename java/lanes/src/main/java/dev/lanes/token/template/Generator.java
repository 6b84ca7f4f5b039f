package dev.lanes.token.template;

import java.util.Collections;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** A lazy iterator that can be gone through once, as {@code map}, {@code select} and their kind return. */
final class Generator implements Iterator<Object> {
  private final String typeName;
  private Supplier<Iterator<Object>> source;
  private Iterator<Object> elements;

  Generator(Supplier<Iterator<Object>> source) {
    this("generator", source);
  }

  /** @param typeName the Python type that error messages name, such as list_reverseiterator */
  Generator(String typeName, Supplier<Iterator<Object>> source) {
    this.typeName = typeName;
    this.source = source;
  }

  String typeName() {
    return typeName;
  }

  @Override
  public boolean hasNext() {
    if (elements == null) {
      Supplier<Iterator<Object>> start = source;
      source = null;
      elements = Collections.emptyIterator();
      elements = start.get();
    }
    return elements.hasNext();
  }

  @Override
  public Object next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return elements.next();
  }

  static Iterator<Object> map(Iterator<Object> elements, Function<Object, Object> function) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return elements.hasNext();
      }

      @Override
      public Object next() {
        return function.apply(elements.next());
      }
    };
  }

  static Iterator<Object> filter(Iterator<Object> elements, Predicate<Object> predicate) {
    return new Iterator<>() {
      private Object next = Undefined.MISSING;

      @Override
      public boolean hasNext() {
        while (next == Undefined.MISSING && elements.hasNext()) {
          Object candidate = elements.next();
          if (predicate.test(candidate)) {
            next = candidate;
          }
        }
        return next != Undefined.MISSING;
      }

      @Override
      public Object next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        Object result = next;
        next = Undefined.MISSING;
        return result;
      }
    };
  }
}
