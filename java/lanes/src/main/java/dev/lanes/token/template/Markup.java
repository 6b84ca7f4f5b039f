package dev.lanes.token.template;

/** A string that {@code safe} or {@code escape} marked as HTML: what is joined to it with {@code +} or {@code %} gets escaped. */
record Markup(String text) {
  static Markup escape(Object value, Render render) {
    if (value instanceof Markup markup) {
      return markup;
    }
    String text = Printer.str(value, render);
    Output out = new Output(render);
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '&' -> out.append("&amp;");
        case '<' -> out.append("&lt;");
        case '>' -> out.append("&gt;");
        case '"' -> out.append("&#34;");
        case '\'' -> out.append("&#39;");
        default -> out.append(c);
      }
    }
    return new Markup(out.toString());
  }
}
