package dev.lanes.model;

import dev.lanes.backend.NormKind;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.ModelConfig;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The architectures that Lanes runs, by the class name that config.json gives. */
final class Architectures {
  private static final Architecture.Attention LLAMA_ATTENTION = new Architecture.Attention(
      List.of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.o_proj", false);

  /** Touvron et al. 2023. Mistral (a window) and Qwen2 (biases of Q, K, V) differ in their configuration only. */
  private static final Architecture LLAMA =
      llamaLike(new Architecture.Gated("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"));

  /** Jiang et al. 2024. */
  private static final Architecture MIXTRAL = llamaLike(new Architecture.Mixture(
      "block_sparse_moe.gate",
      new Architecture.Gated("block_sparse_moe.experts.{e}.w1", "block_sparse_moe.experts.{e}.w3", "block_sparse_moe.experts.{e}.w2"),
      new Architecture.FusedExperts("mlp.gate", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
      true));

  /** Radford et al. 2019. */
  private static final Architecture GPT2 = new Architecture(
      true, List.of("transformer.", ""),
      "wte", "wpe", null, null,
      NormKind.LAYER, false,
      "h.{i}.", new Architecture.Attention(List.of("attn.c_attn"), "attn.c_proj", true), "ln_1", "ln_2",
      new Architecture.Plain("mlp.c_fc", "mlp.c_proj"),
      "ln_f", "lm_head");

  /** Devlin et al. 2018, the encoder. */
  private static final Architecture BERT = new Architecture(
      false, List.of("", "bert."),
      "embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.token_type_embeddings", "embeddings.LayerNorm",
      NormKind.LAYER, true,
      "encoder.layer.{i}.",
      new Architecture.Attention(
          List.of("attention.self.query", "attention.self.key", "attention.self.value"), "attention.output.dense", false),
      "attention.output.LayerNorm", "output.LayerNorm",
      new Architecture.Plain("intermediate.dense", "output.dense"),
      null, null);

  private static final Map<String, Architecture> BY_NAME = new LinkedHashMap<>();

  static {
    BY_NAME.put("LlamaForCausalLM", LLAMA);
    BY_NAME.put("MistralForCausalLM", LLAMA);
    BY_NAME.put("Qwen2ForCausalLM", LLAMA);
    BY_NAME.put("MixtralForCausalLM", MIXTRAL);
    BY_NAME.put("GPT2LMHeadModel", GPT2);
    BY_NAME.put("BertModel", BERT);
    BY_NAME.put("BertForMaskedLM", BERT);
    BY_NAME.put("BertForPreTraining", BERT);
  }

  private Architectures() {}

  /** The recipe of a configuration's architecture. */
  static Architecture of(ModelConfig config) {
    Architecture architecture = BY_NAME.get(config.architecture());
    if (architecture == null) {
      throw new UnsupportedModelException(config.file(), "architectures",
          "unknown architecture " + config.architecture() + "; supported are " + String.join(", ", BY_NAME.keySet()));
    }
    return architecture;
  }

  private static Architecture llamaLike(Architecture.FeedForward feedForward) {
    return new Architecture(
        true, List.of("model.", ""),
        "embed_tokens", null, null, null,
        NormKind.RMS, false,
        "layers.{i}.", LLAMA_ATTENTION, "input_layernorm", "post_attention_layernorm",
        feedForward,
        "norm", "lm_head");
  }
}
