package dev.lanes.model;

import dev.lanes.backend.KvPages;
import dev.lanes.backend.Op;

/**
 * What goes through the model in one step: the new tokens of several sequences side by side, whole prompts, chunks of prompts and
 * single decode tokens alike. Sequence s owns the tokens {@code ragged.queryBegin[s] … queryBegin[s + 1] - 1}.
 *
 * @param tokens [tokens] ids
 * @param positions [tokens]: position of each token for rotary or learned position embeddings
 * @param sinkPositions [tokens]: position of each token's query as the attention sinks see it (StreamingLLM's re-numbering, at
 *     most sinks + window - 1), or null when no sequence of the batch re-numbers
 * @param pages where keys and values live
 * @param slots [tokens]: slot of each token's key and value, see {@link Op.KvWrite}
 * @param ragged sequence boundaries, page tables, windows and sinks asked for by the context policies; the model narrows the
 *     windows further where its own layers have one
 * @param logitRows the tokens whose logits are wanted, ascending; usually the last of each sequence
 * @param hidden which hidden states are wanted
 */
public record StepBatch(int[] tokens, long[] positions, long[] sinkPositions, KvPages pages, long[] slots, Op.Ragged ragged,
    int[] logitRows, Hidden hidden) {

  /** Hidden states that a step can return. */
  public enum Hidden {
    NONE,
    /** After the final norm: [tokens, hidden]. */
    LAST,
    /** The embedding, then each layer's output, the last after the final norm: what transformers calls {@code hidden_states}. */
    ALL
  }
}
