package dev.lanes.engine;

/**
 * What an engine has to know.
 *
 * @param encoder whether every sequence goes through the model whole
 * @param modelWindow how many of the latest tokens any layer looks at, 0 for all
 * @param stepTokens tokens a step, single decode tokens first, the rest for chunks of prompts
 * @param maxBatch sequences a step
 * @param check whether pages are recounted after each step
 */
public record EngineConfig(boolean encoder, int modelWindow, int stepTokens, int maxBatch, boolean check) {
  /** System property: recount all pages after each step. */
  public static final String CHECK_PROPERTY = "dev.lanes.engine.check";

  /** Requests for the logits of all positions get so many rows a step, to bound the memory they take. */
  static final int LOGIT_CHUNK = 64;

  /** The most rows of logits in a step. */
  public int logitRows() {
    return maxBatch + LOGIT_CHUNK;
  }

  /** The most tokens in a step of sequences no longer than {@code contextLength}. */
  public int maxStepTokens(int contextLength) {
    return Math.max(Math.max(stepTokens, maxBatch), encoder ? contextLength : 0);
  }

  public EngineConfig withModelWindow(int window) {
    return new EngineConfig(encoder, window, stepTokens, maxBatch, check);
  }
}
