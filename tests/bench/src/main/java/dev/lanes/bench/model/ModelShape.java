package dev.lanes.bench.model;

import dev.lanes.format.SyntheticModel;
import java.util.ArrayList;
import java.util.List;

/**
 * A Llama of some shape, written in bfloat16.
 *
 * @param tied whether the LM head is the embedding
 */
public record ModelShape(
    String name, int layers, int hidden, int heads, int kvHeads, int ffn, int vocabulary, int context, boolean tied) {
  public static final ModelShape B1 = of("1.1b");
  public static final ModelShape M135 = of("135m");
  public static final ModelShape M15 = of("15m");

  private static ModelShape of(String name) {
    SyntheticModel model = SyntheticModel.SHAPES.get(name);
    return new ModelShape(name, model.layers(), model.hiddenSize(), model.heads(), model.kvHeads(), model.intermediateSize(),
        model.vocabulary(), model.context(), model.tied());
  }

  /** The same shape as what writes its checkpoint. */
  SyntheticModel model() {
    return new SyntheticModel(layers, hidden, heads, kvHeads, ffn, vocabulary, context, tied);
  }

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
    return model().layerParameters();
  }

  /** GFLOP that a prompt token costs in matrix products; attention and the one row through the LM head come on top. */
  public double prefillGigaFlops() {
    return 2e-9 * layerParameters();
  }

  /**
   * GB that a decoded token reads.
   *
   * @param weightBytes bytes of an element of a weight
   * @param depth tokens in the cache
   * @param cacheBytes bytes of an element in the cache
   */
  public double decodeGigaBytes(int weightBytes, double depth, int cacheBytes) {
    return 1e-9 * weightBytes * (layerParameters() + model().headParameters()) + cacheGigaBytes(depth, cacheBytes);
  }

  /**
   * GB of keys and values that a decoded token reads.
   *
   * @param depth tokens in the cache
   * @param cacheBytes bytes of an element in the cache
   */
  public double cacheGigaBytes(double depth, int cacheBytes) {
    return 1e-9 * 2.0 * layers * kvWidth() * cacheBytes * depth;
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
