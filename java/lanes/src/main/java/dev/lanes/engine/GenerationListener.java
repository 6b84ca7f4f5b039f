package dev.lanes.engine;

/** Hears of a generation, on the engine's thread: must neither wait nor throw. The last call is {@link #ended} or {@link #failed}. */
public interface GenerationListener {
  void token(GeneratedToken token);

  void ended(GenerationOutcome outcome);

  void failed(RuntimeException failure);
}
