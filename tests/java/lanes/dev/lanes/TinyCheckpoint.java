package dev.lanes;

import dev.lanes.format.SafetensorsWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/** Small models with random weights, written in Hugging Face layout, for tests that need a model but no trained one. */
public final class TinyCheckpoint {
  public static final int VOCABULARY = 300;
  public static final int HIDDEN = 32;
  public static final int LAYERS = 2;
  public static final int HEADS = 4;
  public static final int KV_HEADS = 2;
  public static final int HEAD_DIM = 8;
  public static final int INNER = 48;
  public static final int EXPERTS = 4;
  public static final int POSITIONS = 512;
  public static final double THETA = 10_000;
  public static final double EPSILON = 1e-5;
  /** Bytes 0 … 255, then the special tokens. */
  public static final int BOS = 256;
  public static final int EOS = 257;

  private final Map<String, float[]> tensors = new LinkedHashMap<>();
  private final SafetensorsWriter writer = new SafetensorsWriter();
  private final Random random;

  private TinyCheckpoint(long seed) {
    random = new Random(seed);
  }

  /** A Llama; the weights are kept for a recomputation by other means. */
  public static TinyCheckpoint llama(Path directory, long seed) {
    return llama(directory, seed, 0);
  }

  /** A Llama, or a Mistral whose layers have a window of their own. */
  public static TinyCheckpoint llama(Path directory, long seed, int window) {
    TinyCheckpoint model = new TinyCheckpoint(seed);
    model.decoder(false, false);
    model.write(directory, decoderConfig(window > 0 ? "MistralForCausalLM" : "LlamaForCausalLM", window > 0 ? "mistral" : "llama",
        window > 0 ? ", \"sliding_window\": " + window : ""));
    return model;
  }

  /** A Qwen2: a Llama with biases of Q, K and V. */
  public static TinyCheckpoint qwen2(Path directory, long seed) {
    TinyCheckpoint model = new TinyCheckpoint(seed);
    model.decoder(false, true);
    model.write(directory, decoderConfig("Qwen2ForCausalLM", "qwen2", ""));
    return model;
  }

  /** A Mixtral of {@link #EXPERTS} experts, two for each token. */
  public static TinyCheckpoint mixtral(Path directory, long seed) {
    TinyCheckpoint model = new TinyCheckpoint(seed);
    model.decoder(true, false);
    model.write(directory, decoderConfig("MixtralForCausalLM", "mixtral",
        ", \"num_local_experts\": " + EXPERTS + ", \"num_experts_per_tok\": 2, \"sliding_window\": null"));
    return model;
  }

  private void decoder(boolean mixture, boolean qkvBias) {
    matrix("model.embed_tokens.weight", VOCABULARY, HIDDEN, 1);
    for (int layer = 0; layer < LAYERS; layer++) {
      String name = "model.layers." + layer + ".";
      matrix(name + "self_attn.q_proj.weight", HEADS * HEAD_DIM, HIDDEN, 0.5);
      matrix(name + "self_attn.k_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN, 0.5);
      matrix(name + "self_attn.v_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN, 0.3);
      matrix(name + "self_attn.o_proj.weight", HIDDEN, HEADS * HEAD_DIM, 0.3);
      if (qkvBias) {
        around(name + "self_attn.q_proj.bias", 0, HEADS * HEAD_DIM);
        around(name + "self_attn.k_proj.bias", 0, KV_HEADS * HEAD_DIM);
        around(name + "self_attn.v_proj.bias", 1, KV_HEADS * HEAD_DIM);
      }
      if (mixture) {
        matrix(name + "block_sparse_moe.gate.weight", EXPERTS, HIDDEN, 0.5);
      }
      for (int expert = 0; expert < (mixture ? EXPERTS : 1); expert++) {
        String network = mixture ? name + "block_sparse_moe.experts." + expert + "." : name + "mlp.";
        matrix(network + (mixture ? "w1" : "gate_proj") + ".weight", INNER, HIDDEN, 0.3);
        matrix(network + (mixture ? "w3" : "up_proj") + ".weight", INNER, HIDDEN, 0.3);
        matrix(network + (mixture ? "w2" : "down_proj") + ".weight", HIDDEN, INNER, 0.3);
      }
      around(name + "input_layernorm.weight", 1);
      around(name + "post_attention_layernorm.weight", 1);
    }
    around("model.norm.weight", 1);
    matrix("lm_head.weight", VOCABULARY, HIDDEN, 0.5);
  }

  private static String decoderConfig(String architecture, String type, String more) {
    return """
        {"architectures": ["%s"], "model_type": "%s", "vocab_size": %d, "hidden_size": %d, "num_hidden_layers": %d,
         "num_attention_heads": %d, "num_key_value_heads": %d, "intermediate_size": %d, "max_position_embeddings": %d,
         "rope_theta": %s, "rms_norm_eps": %s, "hidden_act": "silu", "tie_word_embeddings": false, "torch_dtype": "float32",
         "bos_token_id": %d, "eos_token_id": %d%s}
        """.formatted(architecture, type, VOCABULARY, HIDDEN, LAYERS, HEADS, KV_HEADS, INNER, POSITIONS, THETA, EPSILON, BOS, EOS, more);
  }

  /** A GPT-2: positions are learned, so there are exactly {@code positions} of them. */
  public static TinyCheckpoint gpt2(Path directory, long seed, int positions) {
    TinyCheckpoint model = new TinyCheckpoint(seed);
    model.matrix("wte.weight", VOCABULARY, HIDDEN, 0.5);
    model.matrix("wpe.weight", positions, HIDDEN, 0.5);
    for (int layer = 0; layer < LAYERS; layer++) {
      String name = "h." + layer + ".";
      model.layerNorm(name + "ln_1");
      model.matrix(name + "attn.c_attn.weight", HIDDEN, 3 * HIDDEN, 0.3);
      model.around(name + "attn.c_attn.bias", 0, 3 * HIDDEN);
      model.matrix(name + "attn.c_proj.weight", HIDDEN, HIDDEN, 0.3);
      model.around(name + "attn.c_proj.bias", 0, HIDDEN);
      model.layerNorm(name + "ln_2");
      model.matrix(name + "mlp.c_fc.weight", HIDDEN, 4 * HIDDEN, 0.3);
      model.around(name + "mlp.c_fc.bias", 0, 4 * HIDDEN);
      model.matrix(name + "mlp.c_proj.weight", 4 * HIDDEN, HIDDEN, 0.3);
      model.around(name + "mlp.c_proj.bias", 0, HIDDEN);
    }
    model.layerNorm("ln_f");
    model.write(directory, """
        {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": %d, "n_embd": %d, "n_layer": %d, "n_head": %d,
         "n_positions": %d, "n_ctx": %d, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "eos_token_id": %d}
        """.formatted(VOCABULARY, HIDDEN, LAYERS, HEADS, positions, positions, EOS));
    return model;
  }

  /** A BERT: an encoder without an LM head. */
  public static TinyCheckpoint bert(Path directory, long seed) {
    TinyCheckpoint model = new TinyCheckpoint(seed);
    model.matrix("embeddings.word_embeddings.weight", VOCABULARY, HIDDEN, 0.5);
    model.matrix("embeddings.position_embeddings.weight", POSITIONS, HIDDEN, 0.5);
    model.matrix("embeddings.token_type_embeddings.weight", 2, HIDDEN, 0.5);
    model.layerNorm("embeddings.LayerNorm");
    for (int layer = 0; layer < LAYERS; layer++) {
      String name = "encoder.layer." + layer + ".";
      for (String part : new String[] {"query", "key", "value"}) {
        model.linear(name + "attention.self." + part, HIDDEN, HIDDEN);
      }
      model.linear(name + "attention.output.dense", HIDDEN, HIDDEN);
      model.layerNorm(name + "attention.output.LayerNorm");
      model.linear(name + "intermediate.dense", INNER, HIDDEN);
      model.linear(name + "output.dense", HIDDEN, INNER);
      model.layerNorm(name + "output.LayerNorm");
    }
    model.write(directory, """
        {"architectures": ["BertModel"], "model_type": "bert", "vocab_size": %d, "hidden_size": %d, "num_hidden_layers": %d,
         "num_attention_heads": %d, "intermediate_size": %d, "max_position_embeddings": %d, "type_vocab_size": 2,
         "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0}
        """.formatted(VOCABULARY, HIDDEN, LAYERS, HEADS, INNER, POSITIONS));
    return model;
  }

  /** Adds a tokenizer.json of the 256 bytes, BOS and EOS; BOS comes before every text. */
  public static void addByteTokenizer(Path directory) {
    StringBuilder vocabulary = new StringBuilder();
    int extra = 0;
    for (int b = 0; b < 256; b++) {
      // The byte-level alphabet of GPT-2: printable bytes stand for themselves, the others for characters from U+0100 on.
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      char c = (char) (printable ? b : 256 + extra++);
      vocabulary.append(b == 0 ? "" : ",").append("\"\\u%04x\": %d".formatted((int) c, b));
    }
    text(directory.resolve("tokenizer.json"), """
        {"version": "1.0", "truncation": null, "padding": null,
         "added_tokens": [
           {"id": %1$d, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
           {"id": %2$d, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
         "normalizer": null,
         "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
         "post_processor": {"type": "TemplateProcessing",
           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
           "special_tokens": {"<s>": {"id": "<s>", "ids": [%1$d], "tokens": ["<s>"]}}},
         "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
         "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
           "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {%3$s}, "merges": []}}
        """.formatted(BOS, EOS, vocabulary));
  }

  /** Adds a tokenizer_config.json with a plain chat template. */
  public static void addChatTemplate(Path directory) {
    text(directory.resolve("tokenizer_config.json"), """
        {"bos_token": "<s>", "eos_token": "</s>",
         "chat_template": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}\
        {% if add_generation_prompt %}<assistant>{% endif %}"}
        """);
  }

  /** The weights [rows, columns] that were written under a name. */
  public float[] tensor(String name) {
    return tensors.get(name);
  }

  private void linear(String name, int rows, int columns) {
    matrix(name + ".weight", rows, columns, 0.3);
    around(name + ".bias", 0, rows);
  }

  private void layerNorm(String name) {
    around(name + ".weight", 1);
    around(name + ".bias", 0);
  }

  private void matrix(String name, int rows, int columns, double deviation) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    tensors.put(name, values);
    writer.add(name, values, rows, columns);
  }

  private void around(String name, double mean) {
    around(name, mean, HIDDEN);
  }

  private void around(String name, double mean, int length) {
    float[] values = new float[length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (mean + random.nextGaussian() * 0.1);
    }
    tensors.put(name, values);
    writer.add(name, values, length);
  }

  private void write(Path directory, String config) {
    try {
      Files.createDirectories(directory);
      writer.write(directory.resolve("model.safetensors"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    text(directory.resolve("config.json"), config);
  }

  private static void text(Path file, String content) {
    try {
      Files.write(file, content.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
