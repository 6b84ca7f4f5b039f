package dev.lanes.model;

import dev.lanes.backend.NormKind;
import java.util.List;

/**
 * An architecture as data: the names of its tensors and the order of its parts. Sizes, biases, windows and scales come from the
 * configuration. Names are relative to one of {@link #prefixes}, those of a layer also to {@link #layer}; a linear layer or norm
 * called {@code n} has the tensors {@code n.weight} and, where there is a bias, {@code n.bias}. A name that is null stands for a part
 * the architecture does not have.
 *
 * @param causal whether a token sees only those before it
 * @param prefixes what tensor names may begin with; the first one that fits the checkpoint counts
 * @param tokens token embedding
 * @param positions learned position embedding, or null
 * @param tokenTypes token type embedding, or null
 * @param embeddingNorm norm of the summed embeddings, or null
 * @param norm kind of all norms
 * @param postNorm whether the norms follow attention and feed-forward network (with their residuals) instead of preceding them
 * @param layer prefix of the tensors of a layer, with {@code {i}} for its number
 * @param attention names of the attention's linear layers
 * @param attentionNorm the norm that belongs to attention
 * @param feedForwardNorm the norm that belongs to the feed-forward network
 * @param feedForward kind and names of the feed-forward network
 * @param finalNorm norm after the last layer, or null
 * @param head LM head when it is not tied, a full name; null for an encoder
 */
record Architecture(
    boolean causal,
    List<String> prefixes,
    String tokens,
    String positions,
    String tokenTypes,
    String embeddingNorm,
    NormKind norm,
    boolean postNorm,
    String layer,
    Attention attention,
    String attentionNorm,
    String feedForwardNorm,
    FeedForward feedForward,
    String finalNorm,
    String head) {

  /**
   * @param qkv the projections in the order Q, K, V; a single name when one tensor holds all three
   * @param output output projection
   * @param inputMajor whether the matrices of attention and feed-forward network are stored [input, output], as GPT-2's Conv1D does
   */
  record Attention(List<String> qkv, String output, boolean inputMajor) {}

  /** Feed-forward networks. */
  sealed interface FeedForward permits Plain, Gated, Mixture {}

  /** {@code down(activation(up(x)))}. */
  record Plain(String up, String down) implements FeedForward {}

  /** {@code down(activation(gate(x)) * up(x))}. */
  record Gated(String gate, String up, String down) implements FeedForward {}

  /**
   * A mixture of gated experts.
   *
   * @param router the linear layer that scores the experts
   * @param expert names of one expert's layers, with {@code {e}} for its number
   * @param fused the other spelling, or null: all experts in one tensor
   * @param normalize whether the weights of the chosen experts are made to sum to 1
   */
  record Mixture(String router, Gated expert, FusedExperts fused, boolean normalize) implements FeedForward {}

  /**
   * Experts in stacked tensors.
   *
   * @param router the router's name in this spelling
   * @param gateUp [experts, 2 * intermediate, hidden], the gate's rows first; the tensor's full relative name
   * @param down [experts, hidden, intermediate]
   */
  record FusedExperts(String router, String gateUp, String down) {}
}
