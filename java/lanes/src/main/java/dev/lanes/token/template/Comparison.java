package dev.lanes.token.template;

import java.util.Comparator;
import java.util.Iterator;
import java.util.List;

/** {@code == != < <= > >= in} on Python values. */
final class Comparison {
  private Comparison() {}

  static boolean apply(String operator, Object left, Object right, Render render) {
    return switch (operator) {
      case "==" -> equal(left, right, render);
      case "!=" -> !equal(left, right, render);
      case "in" -> contains(right, left, render);
      case "not in" -> !contains(right, left, render);
      default -> ordered(operator, left, right, render);
    };
  }

  static boolean equal(Object a, Object b, Render render) {
    if (Strings.is(a) && Strings.is(b)) {
      String text = Strings.text(a);
      render.charge(Limits.COPY + text.length() / 16);
      return text.equals(Strings.text(b));
    }
    if (Numbers.is(a) && Numbers.is(b)) {
      return Numbers.compare(a, b) == 0;
    }
    if (a == b || a instanceof Undefined && b instanceof Undefined) {
      return true;
    }
    if (a instanceof List<?> x && b instanceof List<?> y) {
      return equalItems(x, y, render);
    }
    if (a instanceof Tuple x && b instanceof Tuple y) {
      return equalItems(x.items(), y.items(), render);
    }
    if (a instanceof Dict x && b instanceof Dict y) {
      return equalDicts(x, y, render);
    }
    if (a instanceof Range x && b instanceof Range y) {
      long length = x.length();
      return length == y.length() && (length == 0 || x.start() == y.start() && (length == 1 || x.step() == y.step()));
    }
    if (a instanceof DictView x && b instanceof DictView y && x.kind() != DictView.Kind.VALUES && y.kind() != DictView.Kind.VALUES) {
      return x.dict().size() == y.dict().size() && containsAll(y, x, render);
    }
    return a != null && a.equals(b) && a instanceof Builtin;
  }

  /** Elements compare by identity first, so that a nan in a list equals itself. */
  private static boolean same(Object a, Object b, Render render) {
    return a == b || equal(a, b, render);
  }

  private static boolean equalItems(List<?> a, List<?> b, Render render) {
    if (a.size() != b.size()) {
      return false;
    }
    render.charge(a.size() * Limits.COPY);
    for (int i = 0; i < a.size(); i++) {
      if (!same(a.get(i), b.get(i), render)) {
        return false;
      }
    }
    return true;
  }

  private static boolean equalDicts(Dict a, Dict b, Render render) {
    if (a.size() != b.size()) {
      return false;
    }
    render.charge(a.size() * Limits.COPY);
    for (Object key : a.keys()) {
      Object other = b.get(key, render);
      if (other == Undefined.MISSING || !same(a.get(key, render), other, render)) {
        return false;
      }
    }
    return true;
  }

  private static boolean containsAll(DictView container, DictView elements, Render render) {
    for (Object element : elements.elements()) {
      if (!contains(container, element, render)) {
        return false;
      }
    }
    return true;
  }

  /** Python's {@code element in container}. */
  static boolean contains(Object container, Object element, Render render) {
    if (Strings.is(container)) {
      if (!Strings.is(element)) {
        throw new Failure("'in <string>' requires string as left operand, not " + Types.name(element));
      }
      String text = Strings.text(container);
      render.charge(1 + text.length());
      return Text.indexOf(text, Strings.text(element), 0) >= 0;
    }
    if (container instanceof Dict dict) {
      return dict.get(element, render) != Undefined.MISSING;
    }
    if (container instanceof DictView view && view.kind() == DictView.Kind.KEYS) {
      return view.dict().get(element, render) != Undefined.MISSING;
    }
    if (container instanceof Range range && Numbers.isInteger(element)) {
      return Numbers.big(element).bitLength() < Long.SIZE && range.contains(Numbers.big(element).longValue());
    }
    if (!Sequences.isIterable(container)) {
      throw new Failure("argument of type '" + Types.name(container) + "' is not iterable");
    }
    for (Iterator<Object> elements = Sequences.iterate(container, render); elements.hasNext(); ) {
      render.charge(Limits.COPY);
      if (same(elements.next(), element, render)) {
        return true;
      }
    }
    return false;
  }

  private static boolean ordered(String operator, Object left, Object right, Render render) {
    int order = compare(operator, left, right, render);
    return order != 2 && switch (operator) {
      case "<" -> order < 0;
      case "<=" -> order <= 0;
      case ">" -> order > 0;
      default -> order >= 0;
    };
  }

  /** Order by {@code <}, for sorting: fails on values that have no order. */
  static Comparator<Object> order(Render render) {
    return (a, b) -> {
      int order = compare("<", a, b, render);
      if (order == 2) {
        throw new Failure("cannot sort nan");
      }
      return order;
    };
  }

  /** Negative, 0, positive, or 2 if all comparisons are false (nan). */
  private static int compare(String operator, Object a, Object b, Render render) {
    render.charge(Limits.COPY);
    if (Strings.is(a) && Strings.is(b)) {
      render.charge(Strings.text(a).length() / 16);
      return compareText(Strings.text(a), Strings.text(b));
    }
    if (Numbers.is(a) && Numbers.is(b)) {
      return Numbers.compare(a, b);
    }
    if (a instanceof List<?> x && b instanceof List<?> y) {
      return compareItems(operator, x, y, render);
    }
    if (a instanceof Tuple x && b instanceof Tuple y) {
      return compareItems(operator, x.items(), y.items(), render);
    }
    if (a instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (b instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (a instanceof DictView && b instanceof DictView) {
      throw Failure.unsupported("ordering dict views as sets");
    }
    throw new Failure("'" + operator + "' not supported between instances of '" + Types.name(a) + "' and '" + Types.name(b) + "'");
  }

  private static int compareItems(String operator, List<?> a, List<?> b, Render render) {
    int common = Math.min(a.size(), b.size());
    for (int i = 0; i < common; i++) {
      if (!same(a.get(i), b.get(i), render)) {
        return compare(operator, a.get(i), b.get(i), render);
      }
    }
    return Integer.compare(a.size(), b.size());
  }

  /** Order by code point; plain UTF-16 order would put U+FF5E behind U+1F600. */
  private static int compareText(String a, String b) {
    int common = Math.min(a.length(), b.length());
    for (int i = 0; i < common; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        boolean surrogates = Character.isSurrogate(x) != Character.isSurrogate(y);
        return surrogates ? Character.isSurrogate(x) ? 1 : -1 : x < y ? -1 : 1;
      }
    }
    return Integer.compare(a.length(), b.length());
  }
}
