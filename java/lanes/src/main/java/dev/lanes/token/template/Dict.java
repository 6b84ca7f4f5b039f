package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A Python dict: ordered, with keys that are equal as in Python (1, 1.0 and True are one key). */
final class Dict {
  private record Entry(Object key, Object value) {}

  private final Map<Object, Entry> entries = new LinkedHashMap<>();

  /** Sets a value while the dict is being made; a key that is present keeps its spelling and its place. */
  void put(Object key, Object value, Render render) {
    render.charge(Limits.ENTRY);
    Object canonical = Keys.canonical(key, render);
    Entry previous = entries.get(canonical);
    entries.put(canonical, new Entry(previous == null ? key : previous.key, value));
  }

  void putAll(Dict other, Render render) {
    render.charge(other.size() * Limits.ENTRY);
    other.entries.forEach((canonical, entry) -> {
      Entry previous = entries.get(canonical);
      entries.put(canonical, new Entry(previous == null ? entry.key : previous.key, entry.value));
    });
  }

  /** The value, or {@link Undefined#MISSING}. */
  Object get(Object key, Render render) {
    return find(Keys.canonical(key, render));
  }

  /** The value, or {@link Undefined#MISSING}. */
  Object get(String key) {
    return find(key);
  }

  private Object find(Object canonical) {
    Entry entry = entries.get(canonical);
    return entry == null ? Undefined.MISSING : entry.value;
  }

  int size() {
    return entries.size();
  }

  List<Object> keys() {
    List<Object> keys = new ArrayList<>(entries.size());
    entries.values().forEach(entry -> keys.add(entry.key));
    return keys;
  }

  List<Object> values() {
    List<Object> values = new ArrayList<>(entries.size());
    entries.values().forEach(entry -> values.add(entry.value));
    return values;
  }

  List<Object> items() {
    List<Object> items = new ArrayList<>(entries.size());
    entries.values().forEach(entry -> items.add(Tuple.of(entry.key, entry.value)));
    return items;
  }
}
