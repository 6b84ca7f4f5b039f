package dev.lanes.token.template;

import java.util.ArrayList;
import java.util.List;

/** Python's {@code json.dumps}, as the {@code tojson} filter of Hugging Face calls it. */
final class Json {
  /**
   * @param indent text of one level of indentation, null for a single line
   * @param itemSeparator between elements
   * @param keySeparator between key and value
   */
  record Style(boolean ascii, String indent, String itemSeparator, String keySeparator, boolean sortKeys) {}

  private final Style style;
  private final Output out;

  private Json(Style style, Output out) {
    this.style = style;
    this.out = out;
  }

  static String write(Object value, Style style, Render render) {
    Output out = new Output(render);
    new Json(style, out).value(value, 0);
    return out.toString();
  }

  private void value(Object value, int depth) {
    if (depth > Limits.DEPTH) {
      throw new Failure("a value nested more than " + Limits.DEPTH + " deep cannot be turned into JSON");
    }
    if (Strings.is(value)) {
      string(Strings.text(value));
    } else if (value instanceof List<?> list) {
      array(list, depth);
    } else if (value instanceof Tuple tuple) {
      array(tuple.items(), depth);
    } else if (value instanceof Dict dict) {
      object(dict, depth);
    } else {
      String scalar = scalar(value);
      if (scalar == null) {
        throw new Failure("Object of type " + Types.name(value) + " is not JSON serializable");
      }
      out.append(scalar);
    }
  }

  private static String scalar(Object value) {
    if (value == null) {
      return "null";
    }
    if (value instanceof Boolean flag) {
      return flag ? "true" : "false";
    }
    if (value instanceof Double number) {
      return Double.isNaN(number) ? "NaN" : Double.isInfinite(number) ? number > 0 ? "Infinity" : "-Infinity" : Numbers.repr(number);
    }
    return Numbers.isInteger(value) ? Numbers.text(value) : null;
  }

  private void array(List<?> items, int depth) {
    out.append('[');
    boolean first = true;
    for (Object item : items) {
      separate(first, depth + 1);
      first = false;
      value(item, depth + 1);
    }
    close(first, depth);
    out.append(']');
  }

  private void object(Dict dict, int depth) {
    List<Object> keys = dict.keys();
    if (style.sortKeys) {
      out.render().charge(keys.size());
      keys = new ArrayList<>(keys);
      keys.sort(Comparison.order(out.render()));
    }
    out.append('{');
    boolean first = true;
    for (Object key : keys) {
      separate(first, depth + 1);
      first = false;
      String name = Strings.is(key) ? Strings.text(key) : scalar(key);
      if (name == null) {
        throw new Failure("keys must be str, int, float, bool or None, not " + Types.name(key));
      }
      string(name);
      out.append(style.keySeparator);
      value(dict.get(key, out.render()), depth + 1);
    }
    close(first, depth);
    out.append('}');
  }

  private void separate(boolean first, int depth) {
    if (!first) {
      out.append(style.itemSeparator);
    }
    newLine(depth);
  }

  private void close(boolean empty, int depth) {
    if (!empty) {
      newLine(depth);
    }
  }

  private void newLine(int depth) {
    if (style.indent != null) {
      out.append('\n').repeat(style.indent, depth);
    }
  }

  private void string(String s) {
    out.append('"');
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\f' -> out.append("\\f");
        case '\b' -> out.append("\\b");
        default -> {
          if (c < 0x20 || style.ascii && c > 0x7e) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
