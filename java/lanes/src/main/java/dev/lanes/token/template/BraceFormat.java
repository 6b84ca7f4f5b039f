package dev.lanes.token.template;

/** Python's {@code str.format}, looking up attributes and elements through the sandbox. */
final class BraceFormat {
  private final String template;
  private final Arguments arguments;
  private final Render render;
  private int position;
  private int automatic;
  private boolean numbered;

  private BraceFormat(String template, Arguments arguments, Render render) {
    this.template = template;
    this.arguments = arguments;
    this.render = render;
  }

  static Object format(Object self, Arguments arguments, Render render) {
    if (self instanceof Markup) {
      throw Failure.unsupported("format() of a string marked safe");
    }
    BraceFormat format = new BraceFormat((String) self, arguments, render);
    String result = format.text(false, 2);
    if (format.position < format.template.length()) {
      throw new Failure("Single '}' encountered in format string");
    }
    return result;
  }

  /** Text up to its end, or inside a format specification up to the brace that closes the field. */
  private String text(boolean nested, int levels) {
    if (levels < 0) {
      throw new Failure("Max string recursion exceeded");
    }
    Output out = new Output(render);
    while (position < template.length()) {
      char c = template.charAt(position);
      boolean doubled = !nested && position + 1 < template.length() && template.charAt(position + 1) == c;
      if ((c == '{' || c == '}') && doubled) {
        out.append(c);
        position += 2;
      } else if (c == '{') {
        position++;
        out.append(field(levels));
      } else if (c == '}') {
        break;
      } else {
        out.append(c);
        position++;
      }
    }
    return out.toString();
  }

  private String field(int levels) {
    int start = position;
    int brackets = 0;
    while (position < template.length()) {
      char c = template.charAt(position);
      if (c == '[') {
        brackets++;
      } else if (c == ']') {
        brackets = 0;
      } else if (brackets == 0 && (c == '}' || c == ':' || c == '!')) {
        break;
      } else if (c == '{') {
        throw new Failure("unexpected '{' in field name");
      }
      position++;
    }
    Object value = lookUp(template.substring(start, position));
    if (next('!')) {
      value = converted(value, position < template.length() ? template.charAt(position++) : 0);
    }
    String spec = next(':') ? text(true, levels - 1) : "";
    if (!next('}')) {
      throw new Failure("expected '}' before end of string");
    }
    return FormatSpec.format(value, spec, render);
  }

  private boolean next(char expected) {
    boolean found = position < template.length() && template.charAt(position) == expected;
    position += found ? 1 : 0;
    return found;
  }

  private Object converted(Object value, char conversion) {
    return switch (conversion) {
      case 's' -> Printer.str(value, render);
      case 'r' -> Printer.repr(value, render);
      case 'a' -> Printer.ascii(value, render);
      default -> throw new Failure("unknown conversion specifier in a format string");
    };
  }

  private Object lookUp(String name) {
    int end = 0;
    while (end < name.length() && name.charAt(end) != '.' && name.charAt(end) != '[') {
      end++;
    }
    Object value = argument(name.substring(0, end));
    while (end < name.length()) {
      int start = end + 1;
      boolean attribute = name.charAt(end) == '.';
      end = start;
      while (end < name.length() && (attribute ? name.charAt(end) != '.' && name.charAt(end) != '[' : name.charAt(end) != ']')) {
        end++;
      }
      String key = name.substring(start, end);
      boolean follows = attribute || ++end >= name.length() || name.charAt(end) == '.' || name.charAt(end) == '[';
      if (key.isEmpty() || end > name.length() || !follows) {
        throw new Failure("malformed field '" + name + "' in a format string");
      }
      boolean index = !attribute && key.chars().allMatch(c -> c >= '0' && c <= '9');
      Object parsed = index ? Numbers.parseInteger(key, 10) : key;
      value = attribute ? Access.attribute(value, key, render) : Access.item(value, parsed, render);
    }
    return value;
  }

  private Object argument(String name) {
    if (name.isEmpty() ? numbered : automatic > 0 && isIndex(name)) {
      throw new Failure("cannot switch between manual field specification and automatic field numbering");
    }
    if (name.isEmpty() || isIndex(name)) {
      numbered = !name.isEmpty();
      long index = name.isEmpty() ? automatic++ : Numbers.index(Numbers.parseInteger(name, 10), "format");
      if (index >= arguments.positional().size()) {
        throw new Failure("Replacement index " + index + " out of range for positional args tuple");
      }
      return arguments.positional().get((int) index);
    }
    if (!arguments.named().containsKey(name)) {
      throw new Failure("format() has no argument '" + name + "'");
    }
    return arguments.named().get(name);
  }

  private static boolean isIndex(String name) {
    return name.chars().allMatch(c -> c >= '0' && c <= '9');
  }
}
