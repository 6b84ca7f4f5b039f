package dev.lanes.token.template;

import java.util.List;

/** The text of values: Python's {@code str} and {@code repr}. */
final class Printer {
  private Printer() {}

  static String str(Object value, Render render) {
    if (value instanceof String s) {
      return s;
    }
    if (value instanceof Markup markup) {
      return markup.text();
    }
    if (value instanceof Undefined) {
      return "";
    }
    return repr(value, render);
  }

  static String repr(Object value, Render render) {
    Output out = new Output(render);
    write(value, out, 0);
    return out.toString();
  }

  private static void write(Object value, Output out, int depth) {
    if (depth > Limits.DEPTH) {
      throw new Failure("a value nested more than " + Limits.DEPTH + " deep cannot be printed");
    }
    if (value == null) {
      out.append("None");
    } else if (value instanceof String s) {
      quote(s, out);
    } else if (value instanceof Boolean flag) {
      out.append(flag ? "True" : "False");
    } else if (Numbers.isInteger(value)) {
      out.append(Numbers.text(value));
    } else if (value instanceof Double number) {
      out.append(Numbers.repr(number));
    } else if (value instanceof List<?> list) {
      out.append('[');
      writeItems(list, out, depth);
      out.append(']');
    } else if (value instanceof Tuple tuple) {
      out.append('(');
      writeItems(tuple.items(), out, depth);
      out.append(tuple.items().size() == 1 ? ",)" : ")");
    } else if (value instanceof Dict dict) {
      writeDict(dict, out, depth);
    } else {
      writeObject(value, out, depth);
    }
  }

  private static void writeObject(Object value, Output out, int depth) {
    if (value instanceof Undefined) {
      out.append("Undefined");
    } else if (value instanceof Markup markup) {
      out.append("Markup(");
      quote(markup.text(), out);
      out.append(')');
    } else if (value instanceof DictView view) {
      out.append(view.typeName()).append("([");
      writeItems(view.elements(), out, depth);
      out.append("])");
    } else if (value instanceof Range range) {
      out.append("range(" + range.start() + ", " + range.stop() + (range.step() == 1 ? "" : ", " + range.step()) + ")");
    } else if (value instanceof Namespace namespace) {
      out.append("<Namespace ");
      writeDict(namespace.attributes(), out, depth);
      out.append('>');
    } else if (value instanceof LoopContext loop) {
      out.append("<LoopContext " + loop.attribute("index") + "/" + loop.length() + ">");
    } else if (value instanceof Macro macro) {
      out.append("<Macro ");
      if (macro.name() == null) {
        out.append("anonymous");
      } else {
        quote(macro.name(), out);
      }
      out.append('>');
    } else {
      // Python would print a memory address.
      throw Failure.unsupported("printing an object of type '" + Types.name(value) + "'");
    }
  }

  private static void writeItems(List<?> items, Output out, int depth) {
    boolean first = true;
    for (Object item : items) {
      if (!first) {
        out.append(", ");
      }
      first = false;
      write(item, out, depth + 1);
    }
  }

  private static void writeDict(Dict dict, Output out, int depth) {
    out.append('{');
    List<Object> keys = dict.keys();
    List<Object> values = dict.values();
    for (int i = 0; i < keys.size(); i++) {
      if (i > 0) {
        out.append(", ");
      }
      write(keys.get(i), out, depth + 1);
      out.append(": ");
      write(values.get(i), out, depth + 1);
    }
    out.append('}');
  }

  /** A string as Python writes it: single quotes unless only double quotes save an escape. */
  private static void quote(String s, Output out) {
    char quote = s.indexOf('\'') >= 0 && s.indexOf('"') < 0 ? '"' : '\'';
    out.append(quote);
    for (int i = 0; i < s.length(); ) {
      int c = s.codePointAt(i);
      i += Character.charCount(c);
      switch (c) {
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\\' -> out.append("\\\\");
        default -> {
          if (c == quote) {
            out.append('\\').append(quote);
          } else if (Text.isPrintable(c)) {
            out.appendCodePoint(c);
          } else {
            out.append(String.format(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
          }
        }
      }
    }
    out.append(quote);
  }

  /** Python's {@code ascii(value)}: the repr with everything beyond ASCII escaped. */
  static String ascii(Object value, Render render) {
    Output out = new Output(render);
    repr(value, render).codePoints().forEach(c -> {
      if (c < 0x80) {
        out.appendCodePoint(c);
      } else {
        out.append(String.format(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
      }
    });
    return out.toString();
  }
}
