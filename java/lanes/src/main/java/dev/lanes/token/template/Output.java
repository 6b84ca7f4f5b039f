package dev.lanes.token.template;

/** Text under construction, charged to the rendering that makes it. */
final class Output {
  private final Render render;
  private final StringBuilder text = new StringBuilder();

  Output(Render render) {
    this.render = render;
  }

  Output append(String part) {
    render.chargeText(text.length(), part.length());
    text.append(part);
    return this;
  }

  Output append(char part) {
    render.chargeText(text.length(), 1);
    text.append(part);
    return this;
  }

  Output appendCodePoint(int part) {
    render.chargeText(text.length(), 1);
    text.appendCodePoint(part);
    return this;
  }

  Output repeat(String part, long times) {
    if (times > 0 && !part.isEmpty()) {
      render.chargeText(text.length(), Math.min(times, Integer.MAX_VALUE) * part.length());
      text.append(part.repeat((int) times));
    }
    return this;
  }

  Render render() {
    return render;
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
