package dev.lanes.model;

/** What is done to a checkpoint's float weights while loading. A checkpoint that is quantized already is loaded as it is with either. */
public enum Quantization {
  /** They stay what they are. */
  NONE,
  /**
   * The linear layers of attention and feed-forward networks get int8 weights with a scale for each output feature, and multiply int8
   * activations with a scale for each token. Embeddings, norms, the routers of experts and the LM head stay float.
   */
  W8A8
}
