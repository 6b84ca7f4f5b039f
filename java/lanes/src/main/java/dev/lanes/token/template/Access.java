package dev.lanes.token.template;

import java.util.List;
import java.util.Set;

/** {@code value.name} and {@code value[key]} as Jinja's immutable sandbox resolves them. */
final class Access {
  private static final Set<String> LIST_MUTATORS =
      Set.of("append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove");
  private static final Set<String> DICT_MUTATORS = Set.of("clear", "pop", "popitem", "setdefault", "update");

  private Access() {}

  /** {@code value.name}: the attribute if there is one, else the element. */
  static Object attribute(Object value, String name, Render render) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    Object attribute = pythonAttribute(value, name);
    if (attribute == Undefined.MISSING && value instanceof Dict dict) {
      attribute = dict.get(name);
    }
    return attribute == Undefined.MISSING ? Undefined.element(value, name) : attribute;
  }

  /** {@code value[key]}: the element if there is one, else the attribute of that name. */
  static Object item(Object value, Object key, Render render) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    Object element = element(value, key, render);
    if (element == Undefined.MISSING && Strings.is(key)) {
      element = pythonAttribute(value, Strings.text(key));
    }
    return element == Undefined.MISSING ? Undefined.element(value, key) : element;
  }

  private static Object element(Object value, Object key, Render render) {
    if (value instanceof Dict dict) {
      return Keys.isHashable(key, render) ? dict.get(key, render) : Undefined.MISSING;
    }
    boolean indexed = Strings.is(value) || value instanceof List || value instanceof Tuple || value instanceof Range;
    if (!indexed || !Numbers.isInteger(key)) {
      return Undefined.MISSING;
    }
    if (Strings.is(value)) {
      // Finding a character by its index may mean counting surrogate pairs from the start.
      render.charge(1 + Strings.text(value).length() / 16);
    }
    return Sequences.element(value, Numbers.index(key, "index"));
  }

  /** What Python's {@code getattr} finds and the sandbox lets through, or {@link Undefined#MISSING}. */
  private static Object pythonAttribute(Object value, String name) {
    if (name.startsWith("_") && !(value instanceof Namespace)) {
      return Undefined.MISSING;
    }
    if (Strings.is(value)) {
      return StringMethods.bind(value, name);
    }
    if (value instanceof Dict dict) {
      return DICT_MUTATORS.contains(name) ? Undefined.unsafe(value, name) : ValueMethods.ofDict(dict, name);
    }
    if (value instanceof List) {
      return LIST_MUTATORS.contains(name) ? Undefined.unsafe(value, name) : ValueMethods.ofSequence(value, name);
    }
    if (value instanceof Tuple tuple && tuple.names().contains(name)) {
      return tuple.items().get(tuple.names().indexOf(name));
    }
    if (value instanceof Tuple || value instanceof Range) {
      return ValueMethods.ofSequence(value, name);
    }
    if (Numbers.is(value)) {
      return ValueMethods.ofNumber(value, name);
    }
    if (value instanceof Namespace namespace) {
      Object attribute = namespace.attribute(name);
      return attribute != Undefined.MISSING && name.startsWith("_") ? Undefined.unsafe(value, name) : attribute;
    }
    if (value instanceof Attributed attributed) {
      return attributed.attribute(name);
    }
    if (value instanceof DictView || value instanceof Generator) {
      return ValueMethods.ofIterable(value, name);
    }
    return Undefined.MISSING;
  }
}
