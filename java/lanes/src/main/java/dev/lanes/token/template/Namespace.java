package dev.lanes.token.template;

/** What {@code namespace(...)} returns: the one value whose attributes a template can set. */
final class Namespace implements Attributed {
  private final Dict attributes;

  Namespace(Dict attributes) {
    this.attributes = attributes;
  }

  void set(String name, Object value, Render render) {
    attributes.put(name, value, render);
  }

  Dict attributes() {
    return attributes;
  }

  @Override
  public Object attribute(String name) {
    return attributes.get(name);
  }

  @Override
  public String typeName() {
    return "Namespace";
  }
}
