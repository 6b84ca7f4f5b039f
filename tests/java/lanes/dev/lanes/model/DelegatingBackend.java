package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.ForwardingBackend;

/** Another backend with room to look in or to interfere. Every op runs when it is called, so that its results are there to be seen. */
class DelegatingBackend extends ForwardingBackend {
  DelegatingBackend(Backend inner) {
    super(inner);
  }

  @Override
  public Batch batch() {
    return () -> {};
  }
}
