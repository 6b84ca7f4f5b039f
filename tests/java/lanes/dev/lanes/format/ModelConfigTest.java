package dev.lanes.format;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.format.ModelConfig.Activation;
import dev.lanes.format.ModelConfig.Experts;
import dev.lanes.format.ModelConfig.Family;
import dev.lanes.format.ModelConfig.Rope;
import dev.lanes.format.ModelConfig.RopeType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
  @TempDir Path directory;

  private ModelConfig read(String json) throws IOException {
    Files.writeString(directory.resolve("config.json"), json.replace('\'', '"'));
    return ModelConfig.load(directory);
  }

  @Test
  void llamaDefaultsAreThoseOfTransformers() throws IOException {
    ModelConfig config = read("{'model_type':'llama'}");
    assertThat(config.architecture()).isEqualTo("LlamaForCausalLM");
    assertThat(config.vocabSize()).isEqualTo(32000);
    assertThat(config.hiddenSize()).isEqualTo(4096);
    assertThat(config.intermediateSize()).isEqualTo(11008);
    assertThat(config.layers()).isEqualTo(32);
    assertThat(config.attention().heads()).isEqualTo(32);
    assertThat(config.attention().kvHeads()).isEqualTo(32);
    assertThat(config.attention().headDim()).isEqualTo(128);
    assertThat(config.attention().qkvBias()).isFalse();
    assertThat(config.attention().scale(31)).isEqualTo(1 / Math.sqrt(128));
    assertThat(config.maxPositions()).isEqualTo(2048);
    assertThat(config.normEpsilon()).isEqualTo(1e-6);
    assertThat(config.activation()).isEqualTo(Activation.SILU);
    assertThat(config.rope()).contains(new Rope(RopeType.DEFAULT, 10000, 128, 1, 1, 1, 2048));
    assertThat(config.experts()).isEmpty();
    assertThat(config.tieWordEmbeddings()).isFalse();
    assertThat(config.tokens().bos()).hasValue(1);
    assertThat(config.tokens().eos()).containsExactly(2);
    assertThat(config.tokens().pad()).isEmpty();
    assertThat(config.dtype()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    // model_type, intermediate size, kv heads, positions, epsilon, theta, window, vocabulary, tied
    "mistral, 14336, 8, 131072, 1e-6, 10000, 4096, 32000, false",
    "mixtral, 14336, 8, 131072, 1e-5, 1000000, 0, 32000, false",
    "qwen2, 22016, 32, 32768, 1e-6, 10000, 0, 151936, false",
  })
  void otherDefaultsOfTheLlamaFamily(
      String type, int intermediate, int kvHeads, int positions, double epsilon, double theta, int window, int vocabulary, boolean tied)
      throws IOException {
    ModelConfig config = read("{'model_type':'" + type + "'}");
    assertThat(config.intermediateSize()).isEqualTo(intermediate);
    assertThat(config.attention().kvHeads()).isEqualTo(kvHeads);
    assertThat(config.maxPositions()).isEqualTo(positions);
    assertThat(config.normEpsilon()).isEqualTo(epsilon);
    assertThat(config.rope().orElseThrow().theta()).isEqualTo(theta);
    assertThat(config.attention().slidingWindow(0)).isEqualTo(window);
    assertThat(config.vocabSize()).isEqualTo(vocabulary);
    assertThat(config.tieWordEmbeddings()).isEqualTo(tied);
    assertThat(config.attention().qkvBias()).isEqualTo(type.equals("qwen2"));
    assertThat(config.attention().outputBias()).isFalse();
  }

  @Test
  void gpt2AndBertDefaults() throws IOException {
    ModelConfig gpt2 = read("{'model_type':'gpt2'}");
    assertThat(gpt2.architecture()).isEqualTo("GPT2LMHeadModel");
    assertThat(gpt2.hiddenSize()).isEqualTo(768);
    assertThat(gpt2.intermediateSize()).isEqualTo(3072);
    assertThat(gpt2.activation()).isEqualTo(Activation.GELU_TANH);
    assertThat(gpt2.tieWordEmbeddings()).isTrue();
    assertThat(gpt2.rope()).isEmpty();
    assertThat(gpt2.tokens().eos()).containsExactly(50256);
    ModelConfig bert = read("{'model_type':'bert'}");
    assertThat(bert.architecture()).isEqualTo("BertModel");
    assertThat(bert.normEpsilon()).isEqualTo(1e-12);
    assertThat(bert.typeVocabSize()).isEqualTo(2);
    assertThat(bert.tokens().pad()).hasValue(0);
    assertThat(bert.tokens().bos()).isEmpty();
    assertThat(bert.tokens().eos()).isEmpty();
    assertThat(bert.activation()).isEqualTo(Activation.GELU);
    assertThat(bert.tieWordEmbeddings()).isTrue();
  }

  @Test
  void gpt2ScalesAndAliases() throws IOException {
    String base = "'model_type':'gpt2','hidden_size':64,'num_attention_heads':4,'num_hidden_layers':3,'max_position_embeddings':32";
    ModelConfig plain = read("{" + base + "}");
    assertThat(plain.attention().scales()).isEqualTo(Collections.nCopies(3, 0.25));
    assertThat(plain.intermediateSize()).isEqualTo(256);
    assertThat(plain.maxPositions()).isEqualTo(32);
    assertThat(read("{" + base + ",'scale_attn_by_inverse_layer_idx':true}").attention().scales())
        .containsExactly(0.25, 0.125, 0.25 / 3);
    assertThat(read("{" + base + ",'scale_attn_weights':false,'n_inner':100}").attention().scales()).containsOnly(1.0);
  }

  @Test
  void bothSpellingsOfRopeAreRead() throws IOException {
    Rope expected = new Rope(RopeType.LLAMA3, 500000, 128, 8, 1, 4, 8192);
    String scaling = "'factor':8.0,'low_freq_factor':1.0,'high_freq_factor':4.0,'original_max_position_embeddings':8192";
    String base = "{'model_type':'llama','max_position_embeddings':131072,";
    assertThat(read(base + "'rope_theta':500000.0,'rope_scaling':{'rope_type':'llama3'," + scaling + "},'torch_dtype':'bfloat16'}"))
        .satisfies(config -> assertThat(config.rope()).contains(expected))
        .satisfies(config -> assertThat(config.dtype()).contains(DType.BF16));
    assertThat(read(base + "'rope_parameters':{'rope_theta':500000.0,'rope_type':'llama3'," + scaling + "},'dtype':'bfloat16'}"))
        .satisfies(config -> assertThat(config.rope()).contains(expected))
        .satisfies(config -> assertThat(config.dtype()).contains(DType.BF16));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "'rope_scaling':null | DEFAULT | 10000 | 1",
    "'rope_scaling':{} | DEFAULT | 10000 | 1",
    "'rope_scaling':{'type':'linear','factor':4} | LINEAR | 10000 | 4",
    "'rope_scaling':{'rope_type':'default'},'rope_theta':5e5 | DEFAULT | 5e5 | 1",
    "'rope_parameters':{'rope_type':'default'},'rope_theta':5e5 | DEFAULT | 5e5 | 1",
    "'rope_parameters':{'rope_theta':7e5} | DEFAULT | 7e5 | 1",
    "'rope_parameters':{'rope_type':'linear','factor':2.0,'rope_theta':1000} | LINEAR | 1000 | 2",
    "'rope_scaling':{'type':'linear','factor':4},'rope_parameters':{'rope_theta':7e5} | LINEAR | 10000 | 4",
    "'rope_scaling':{'rope_type':'linear','type':'yarn','factor':4} | LINEAR | 10000 | 4",
  })
  void ropeVariants(String fields, RopeType type, double theta, double factor) throws IOException {
    Rope rope = read("{'model_type':'llama'," + fields.replace("\"", "'") + "}").rope().orElseThrow();
    assertThat(rope).isEqualTo(new Rope(type, theta, 128, factor, 1, 1, 2048));
  }

  @Test
  void llama3TakesTheOriginalLengthFromWhereverItStands() throws IOException {
    String rope = "'rope_scaling':{'rope_type':'llama3','factor':8,'low_freq_factor':1,'high_freq_factor':4}";
    assertThat(read("{'model_type':'llama'," + rope + "}").rope().orElseThrow().originalMaxPositions()).isEqualTo(2048);
    assertThat(read("{'model_type':'llama','original_max_position_embeddings':64," + rope + "}").rope().orElseThrow()
        .originalMaxPositions()).isEqualTo(64);
  }

  @Test
  void headSizeAndPartialRotation() throws IOException {
    ModelConfig config = read("{'model_type':'mistral','hidden_size':64,'num_attention_heads':4,'num_key_value_heads':2,'head_dim':24}");
    assertThat(config.attention().headDim()).isEqualTo(24);
    assertThat(config.rope().orElseThrow().rotaryDim()).isEqualTo(24);
    assertThat(read("{'model_type':'llama','partial_rotary_factor':0.5}").rope().orElseThrow().rotaryDim()).isEqualTo(64);
    assertThat(read("{'model_type':'llama','head_dim':null}").attention().headDim()).isEqualTo(128);
  }

  @Test
  void windowsPerLayer() throws IOException {
    String qwen = "{'model_type':'qwen2','num_hidden_layers':4,'max_window_layers':2,'sliding_window':16";
    assertThat(read(qwen + "}").attention().slidingWindows()).containsExactly(0, 0, 0, 0);
    assertThat(read(qwen + ",'use_sliding_window':true}").attention().slidingWindows()).containsExactly(0, 0, 16, 16);
    assertThat(read(qwen + ",'use_sliding_window':true,'layer_types':['sliding_attention','full_attention','full_attention',"
        + "'sliding_attention']}").attention().slidingWindows()).containsExactly(16, 0, 0, 16);
    assertThat(read("{'model_type':'mistral','num_hidden_layers':2,'sliding_window':null}").attention().slidingWindows())
        .containsExactly(0, 0);
    assertThat(read("{'model_type':'mixtral','num_hidden_layers':2,'sliding_window':9}").attention().slidingWindows())
        .containsExactly(9, 9);
    assertThat(read("{'model_type':'llama','num_hidden_layers':2,'sliding_window':9}").attention().slidingWindows())
        .containsExactly(0, 0);
  }

  @Test
  void tokensMayBeOneOrManyOrNone() throws IOException {
    assertThat(read("{'model_type':'llama','eos_token_id':[128001,128008]}").tokens().eos()).containsExactly(128001, 128008);
    assertThat(read("{'model_type':'llama','eos_token_id':null,'bos_token_id':null}").tokens().eos()).isEmpty();
    assertThat(read("{'model_type':'llama','bos_token_id':null}").tokens().bos()).isEmpty();
    assertThat(read("{'model_type':'llama','pad_token_id':-1}").tokens().pad()).isEmpty();
  }

  @Test
  void expertsAndBiases() throws IOException {
    assertThat(read("{'model_type':'mixtral','num_local_experts':6,'num_experts_per_tok':3}").experts()).contains(new Experts(6, 3));
    assertThat(read("{'model_type':'mixtral'}").experts()).contains(new Experts(8, 2));
    ModelConfig biased = read("{'model_type':'llama','attention_bias':true,'mlp_bias':true,'tie_word_embeddings':true}");
    assertThat(biased.attention().qkvBias()).isTrue();
    assertThat(biased.attention().outputBias()).isTrue();
    assertThat(biased.mlpBias()).isTrue();
    assertThat(biased.tieWordEmbeddings()).isTrue();
  }

  @Test
  void theFirstSupportedArchitectureCounts() throws IOException {
    assertThat(read("{'architectures':['Other','BertForMaskedLM']}").family()).isEqualTo(Family.BERT);
    assertThat(ModelConfig.SUPPORTED_ARCHITECTURES)
        .containsAll(List.of("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "MixtralForCausalLM", "GPT2LMHeadModel",
            "BertModel", "BertForMaskedLM"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"stories15M", "stories260K", "stories260K-moe-clone", "stories260K-moe-split", "minimind2-small",
      "minilm-l6-v2", "random/bert", "random/gpt2", "random/llama3-rope", "random/mistral-window", "random/mixtral", "random/qwen2"})
  void sharedModelsAreRead(String model) {
    Path folder = SharedData.require("models/" + model);
    ModelConfig config = ModelConfig.load(folder);
    try (Checkpoint weights = Checkpoint.open(folder)) {
      String embedding = switch (config.family()) {
        case GPT2 -> "transformer.wte.weight";
        case BERT -> "embeddings.word_embeddings.weight";
        default -> "model.embed_tokens.weight";
      };
      assertThat(weights.tensor(embedding).hasShape(config.vocabSize(), config.hiddenSize())).isTrue();
    }
  }

  @Test
  void compressedTensorsOfTheSharedData() {
    ModelConfig config = ModelConfig.load(SharedData.require("models/minimind2-small-w8a8"));
    QuantizationConfig quantization = config.quantization().orElseThrow();
    assertThat(quantization.schemeOf("model.layers.0.self_attn.q_proj", "Linear")).contains(
        new QuantizationConfig.Scheme(QuantizationConfig.WeightScale.CHANNEL, QuantizationConfig.InputScale.TOKEN));
    assertThat(quantization.schemeOf("lm_head", "Linear")).isEmpty();
  }

  @Test
  void randomModelsOfTheSharedData() {
    ModelConfig llama = ModelConfig.load(SharedData.require("models/random/llama3-rope"));
    assertThat(llama.rope()).contains(new Rope(RopeType.LLAMA3, 500000, 16, 8, 1, 4, 64));
    assertThat(llama.tokens().eos()).isEmpty();
    assertThat(llama.tokens().pad()).hasValue(0);
    ModelConfig mistral = ModelConfig.load(SharedData.require("models/random/mistral-window"));
    assertThat(mistral.attention().slidingWindows()).containsExactly(12, 12, 12);
    assertThat(mistral.attention().headDim()).isEqualTo(24);
  }
}
