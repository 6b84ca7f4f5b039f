package dev.lanes.token.template;

import java.util.List;

/** What {@code dict.keys()}, {@code values()} and {@code items()} return. */
record DictView(Dict dict, Kind kind) {
  enum Kind { KEYS, VALUES, ITEMS }

  List<Object> elements() {
    return switch (kind) {
      case KEYS -> dict.keys();
      case VALUES -> dict.values();
      case ITEMS -> dict.items();
    };
  }

  String typeName() {
    return switch (kind) {
      case KEYS -> "dict_keys";
      case VALUES -> "dict_values";
      case ITEMS -> "dict_items";
    };
  }
}
