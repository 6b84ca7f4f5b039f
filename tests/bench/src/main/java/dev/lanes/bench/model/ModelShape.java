package dev.lanes.bench.model;

import java.util.ArrayList;
import java.util.List;

/**
 * A Llama of some shape, in bfloat16.
 *
 * @param tied whether the LM head is the embedding
 */
public record ModelShape(
    String name, int layers, int hidden, int heads, int kvHeads, int ffn, int vocabulary, int context, boolean tied) {
  /** TinyLlama-1.1B. */
  public static final ModelShape B1 = new ModelShape("1.1b", 22, 2048, 32, 4, 5632, 32000, 2048, false);

  /** SmolLM-135M, with room for decoding at depth. */
  public static final ModelShape M135 = new ModelShape("135m", 30, 576, 9, 3, 1536, 49152, 8192, true);

  /** stories15M. */
  public static final ModelShape M15 = new ModelShape("15m", 6, 288, 6, 6, 768, 32000, 2048, true);

  /** A weight by its name in Hugging Face checkpoints and in GGUF. A vector has one row and is float32 in GGUF. */
  record Weight(String huggingFace, String gguf, int rows, int columns) {
    boolean vector() {
      return rows == 1;
    }

    long elements() {
      return (long) rows * columns;
    }
  }

  public int headDim() {
    return hidden / heads;
  }

  private int kvWidth() {
    return kvHeads * headDim();
  }

  /** Parameters of the layers' matrices: what every token is multiplied with. */
  public long layerParameters() {
    return (long) layers * ((long) hidden * (2L * hidden + 2L * kvWidth()) + 3L * hidden * ffn);
  }

  private long headParameters() {
    return (long) vocabulary * hidden;
  }

  /** GFLOP that a prompt token costs in matrix products; attention and the one row through the LM head come on top. */
  public double prefillGigaFlops() {
    return 2e-9 * layerParameters();
  }

  /**
   * GB that a decoded token reads.
   *
   * @param depth tokens in the cache
   * @param cacheBytes bytes of an element in the cache
   */
  public double decodeGigaBytes(double depth, int cacheBytes) {
    return 1e-9 * (2.0 * (layerParameters() + headParameters()) + 2.0 * layers * kvWidth() * cacheBytes * depth);
  }

  List<Weight> weights() {
    List<Weight> all = new ArrayList<>();
    all.add(new Weight("model.embed_tokens.weight", "token_embd.weight", vocabulary, hidden));
    for (int i = 0; i < layers; i++) {
      String from = "model.layers." + i + ".";
      String to = "blk." + i + ".";
      all.add(new Weight(from + "input_layernorm.weight", to + "attn_norm.weight", 1, hidden));
      all.add(new Weight(from + "self_attn.q_proj.weight", to + "attn_q.weight", hidden, hidden));
      all.add(new Weight(from + "self_attn.k_proj.weight", to + "attn_k.weight", kvWidth(), hidden));
      all.add(new Weight(from + "self_attn.v_proj.weight", to + "attn_v.weight", kvWidth(), hidden));
      all.add(new Weight(from + "self_attn.o_proj.weight", to + "attn_output.weight", hidden, hidden));
      all.add(new Weight(from + "post_attention_layernorm.weight", to + "ffn_norm.weight", 1, hidden));
      all.add(new Weight(from + "mlp.gate_proj.weight", to + "ffn_gate.weight", ffn, hidden));
      all.add(new Weight(from + "mlp.up_proj.weight", to + "ffn_up.weight", ffn, hidden));
      all.add(new Weight(from + "mlp.down_proj.weight", to + "ffn_down.weight", hidden, ffn));
    }
    all.add(new Weight("model.norm.weight", "output_norm.weight", 1, hidden));
    if (!tied) {
      all.add(new Weight("lm_head.weight", "output.weight", vocabulary, hidden));
    }
    return all;
  }
}
