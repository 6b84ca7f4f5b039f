package dev.lanes;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Forgotten;
import dev.lanes.cache.KvCache;
import dev.lanes.engine.Engine;
import dev.lanes.model.TransformerModel;
import dev.lanes.token.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;

/** What a loaded model holds. Filled while loading; released in reverse order, whether loading came to its end or not. */
final class ModelResources implements Forgotten.Resource {
  private final Path directory;
  private final Deque<AutoCloseable> held = new ArrayDeque<>();
  private boolean released;
  Backend backend;
  TransformerModel model;
  KvCache cache;
  Engine engine;
  Tokenizer tokenizer;

  ModelResources(Path directory) {
    this.directory = directory;
  }

  /** Makes this responsible for closing something. */
  <T extends AutoCloseable> T hold(T resource) {
    held.push(resource);
    return resource;
  }

  @Override
  public String describe() {
    return "the model " + directory;
  }

  /** Closes everything; a second caller waits for the first. */
  @Override
  public synchronized boolean release() {
    if (released) {
      return false;
    }
    released = true;
    RuntimeException failure = null;
    while (!held.isEmpty()) {
      try {
        held.pop().close();
      } catch (Exception e) {
        if (failure == null) {
          failure = e instanceof RuntimeException runtime ? runtime : new IllegalStateException(e);
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
    return true;
  }
}
