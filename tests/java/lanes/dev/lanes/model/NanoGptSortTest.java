package dev.lanes.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.backend.Activation;
import dev.lanes.backend.Backend;
import dev.lanes.backend.BackendOptions;
import dev.lanes.backend.Backends;
import dev.lanes.backend.KvPages;
import dev.lanes.backend.MemoryTag;
import dev.lanes.backend.Op;
import dev.lanes.backend.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A GPT-2 that sorts three letters, against every intermediate that another implementation recorded of one forward pass. */
class NanoGptSortTest {
  private static final double TOLERANCE = 5e-5;
  private static final int BATCH = 3;
  private static final int TOKENS = 11;
  private static final int HIDDEN = 48;
  private static final int HEADS = 3;
  private static final int HEAD_DIM = HIDDEN / HEADS;

  @TempDir
  Path temporary;

  static List<BackendOptions> backends() {
    return TestBackends.all();
  }

  /** The outputs of the ops by the names that the recording gives them, for the first layer; each all sequences' rows in order. */
  private static final class Recorder extends DelegatingBackend {
    final Map<String, float[]> outputs = new HashMap<>();
    private final List<String> embeddings = new ArrayList<>(List.of("tok_emb", "x"));
    private final List<String> norms = new ArrayList<>(List.of("ln1", "ln2"));
    private Op.KvWrite written;

    Recorder(Backend inner) {
      super(inner);
    }

    @Override
    public void embed(Op.Embed op) {
      super.embed(op);
      if (!embeddings.isEmpty()) {
        outputs.put(embeddings.remove(0), op.y().toArray());
      }
    }

    @Override
    public void norm(Op.Norm op) {
      super.norm(op);
      if (!norms.isEmpty()) {
        outputs.put(norms.remove(0), op.y().toArray());
      }
    }

    @Override
    public void linear(Op.Linear op) {
      boolean inner = op.weight().columns() == HIDDEN;
      if (op.activation() == Activation.GELU_TANH) {
        outputs.putIfAbsent("fc", withoutEpilogue(op));
      } else if (op.residual() != null) {
        outputs.putIfAbsent(inner ? "yProj" : "mlp", withoutEpilogue(op));
      }
      super.linear(op);
      float[] y = op.y().toArray();
      if (op.activation() == Activation.GELU_TANH) {
        outputs.putIfAbsent("gelu", y);
      } else if (op.weight().rows() == 3 * HIDDEN) {
        outputs.putIfAbsent("qkv", y);
      } else if (op.residual() != null) {
        outputs.putIfAbsent(inner ? "attnResid" : "mlpResid", y);
      }
    }

    /** What the product was before the activation or the residual that are fused into it. */
    private float[] withoutEpilogue(Op.Linear op) {
      try (Tensor y = tensor(MemoryTag.OTHER, op.y().rows(), op.y().columns())) {
        super.linear(new Op.Linear(op.x(), op.weight(), op.bias(), null, Activation.NONE, op.compute(), y));
        return y.toArray();
      }
    }

    @Override
    public void kvWrite(Op.KvWrite op) {
      super.kvWrite(op);
      written = op;
      outputs.putIfAbsent("k", op.k().toArray());
      outputs.putIfAbsent("v", op.v().toArray());
    }

    @Override
    public void attention(Op.Attention op) {
      if (!outputs.containsKey("q")) {
        outputs.put("q", op.q().toArray());
        outputs.put("attSm", attentionWeights(op));
      }
      super.attention(op);
      outputs.putIfAbsent("y", op.out().toArray());
    }

    /** Fused attention keeps its weights to itself; with the unit vectors for values they are its output: [tokens, heads * headDim]. */
    private float[] attentionWeights(Op.Attention op) {
      KvPages.Spec spec = op.pages().spec();
      int tokens = op.q().rows();
      try (KvPages pages = kvPages(new KvPages.Spec(spec.pages(), 1, spec.kvHeads(), spec.headDim(), spec.dtype()));
          Tensor units = tensor(MemoryTag.OTHER, tokens, HIDDEN);
          Tensor weights = tensor(MemoryTag.OTHER, tokens, HIDDEN)) {
        float[] values = new float[tokens * HIDDEN];
        for (int t = 0; t < tokens; t++) {
          for (int head = 0; head < HEADS; head++) {
            values[t * HIDDEN + head * HEAD_DIM + t % TOKENS] = 1;
          }
        }
        units.copyFrom(values, 0);
        super.kvWrite(new Op.KvWrite(pages, 0, written.slots(), written.k(), units));
        super.attention(new Op.Attention(pages, 0, op.heads(), op.causal(), op.scale(), op.q(), null, op.ragged(), weights));
        return weights.toArray();
      }
    }
  }

  @ParameterizedTest
  @MethodSource("backends")
  void everyRecordedIntermediate(BackendOptions options) throws IOException {
    Path source = SharedModels.directory("nano-gpt-sort");
    JsonNode recorded = ModelFiles.JSON.readTree(source.resolve("gpt-nano-sort-t0-partials.json").toFile());
    Path directory = convert(source);
    try (Backend backend = Backends.open(options)) {
      Recorder recorder = new Recorder(backend);
      try (ModelRun run = new ModelRun(directory, recorder)) {
        int[][] prompts = new int[BATCH][TOKENS];
        float[] ids = floats(recorded.get("idx"));
        ModelRun.Share[] shares = new ModelRun.Share[BATCH];
        for (int b = 0; b < BATCH; b++) {
          for (int t = 0; t < TOKENS; t++) {
            prompts[b][t] = (int) ids[b * TOKENS + t];
          }
          shares[b] = new ModelRun.Share(run.lane(prompts[b]), TOKENS, false);
        }
        StepOutput output = run.step(StepBatch.Hidden.ALL, shares);
        for (String name : List.of("tok_emb", "x", "ln1", "qkv", "y", "yProj", "attnResid", "ln2", "fc", "gelu", "mlp", "mlpResid")) {
          Numbers.assertClose(name, recorder.outputs.get(name), floats(recorded.get(name)), TOLERANCE);
        }
        for (String name : List.of("q", "k", "v")) {
          Numbers.assertClose(name, recorder.outputs.get(name), headsInside(floats(recorded.get(name))), TOLERANCE);
        }
        checkAttention(recorder.outputs.get("attSm"), floats(recorded.get("attSm")), floats(recorded.get("att")));
        for (int layer = 0; layer < 2; layer++) {
          Numbers.assertClose("block" + layer, output.layers().get(layer + 1), floats(recorded.get("block" + layer)), TOLERANCE);
        }
        Numbers.assertClose("ln_f", output.hidden().toArray(), floats(recorded.get("ln_f")), TOLERANCE);
        float[] logits = output.logits().toArray();
        Numbers.assertClose("lm_head", logits, floats(recorded.get("lm_head")), 2e-4);
        Numbers.assertClose("probs", softmax(logits, 3), floats(recorded.get("probs")), TOLERANCE);
        Arrays.stream(shares).forEach(share -> share.lane().close());
        for (int[] letters : new int[][] {{2, 1, 0, 0, 1, 2}, {0, 0, 2, 1, 0, 1}, {2, 2, 2, 1, 1, 0}}) {
          int[] sorted = letters.clone();
          Arrays.sort(sorted);
          assertThat(run.greedy(letters.length, letters)).as("sorted %s", Arrays.toString(letters)).containsExactly(sorted);
        }
      }
    }
  }

  /**
   * Weights against the recorded ones, and scores: those follow from the weights up to a constant for each query.
   *
   * @param weights [batch * tokens, heads * headDim], key j at j
   * @param softmax [batch, heads, tokens, tokens]
   * @param scores [batch, heads, tokens, tokens]
   */
  private static void checkAttention(float[] weights, float[] softmax, float[] scores) {
    for (int b = 0; b < BATCH; b++) {
      for (int head = 0; head < HEADS; head++) {
        for (int t = 0; t < TOKENS; t++) {
          int from = (b * TOKENS + t) * HIDDEN + head * HEAD_DIM;
          int recorded = ((b * HEADS + head) * TOKENS + t) * TOKENS;
          for (int j = 0; j < TOKENS; j++) {
            assertThat(weights[from + j]).as("attSm %d %d %d %d", b, head, t, j).isCloseTo(softmax[recorded + j], within(5e-5f));
            if (j <= t) {
              double score = Math.log(weights[from + j] / weights[from]);
              assertThat(score).as("att %d %d %d %d", b, head, t, j)
                  .isCloseTo((double) scores[recorded + j] - scores[recorded], within(1e-3));
            }
          }
        }
      }
    }
  }

  /** As a GPT-2 checkpoint: the recording's linear layers are [output, input], GPT-2's files have them the other way round. */
  private Path convert(Path source) throws IOException {
    JsonNode json = ModelFiles.JSON.readTree(source.resolve("gpt-nano-sort-model.json").toFile());
    JsonNode shape = json.get("config");
    ObjectNode config = ModelFiles.JSON.createObjectNode();
    config.putArray("architectures").add("GPT2LMHeadModel");
    config.put("model_type", "gpt2").put("n_layer", shape.get("n_layer").asInt()).put("n_head", shape.get("n_head").asInt())
        .put("n_embd", shape.get("n_embd").asInt()).put("vocab_size", shape.get("vocab_size").asInt())
        .put("n_positions", shape.get("block_size").asInt()).put("activation_function", "gelu_new").put("tie_word_embeddings", false);
    ModelFiles files = new ModelFiles(config);
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      if (!entry.getKey().equals("config")) {
        float[] values = floats(entry.getValue());
        long[] sizes = ModelFiles.JSON.convertValue(entry.getValue().get("shape"), long[].class);
        boolean transpose = entry.getKey().matches(".*\\.(c_attn|c_proj|c_fc)\\.weight");
        files.tensors.put(entry.getKey(), transpose
            ? ModelFiles.Stored.of(transposed(values, (int) sizes[0], (int) sizes[1]), sizes[1], sizes[0])
            : ModelFiles.Stored.of(values, sizes));
      }
    }
    return files.write(temporary.resolve("model"));
  }

  private static float[] transposed(float[] values, int rows, int columns) {
    float[] result = new float[values.length];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        result[c * rows + r] = values[r * columns + c];
      }
    }
    return result;
  }

  /** [batch, heads, tokens, headDim] to [batch, tokens, heads * headDim]. */
  private static float[] headsInside(float[] values) {
    int heads = HEADS;
    int size = HEAD_DIM;
    float[] result = new float[values.length];
    for (int b = 0; b < BATCH; b++) {
      for (int h = 0; h < heads; h++) {
        for (int t = 0; t < TOKENS; t++) {
          System.arraycopy(values, ((b * heads + h) * TOKENS + t) * size, result, (b * TOKENS + t) * HIDDEN + h * size, size);
        }
      }
    }
    return result;
  }

  private static float[] softmax(float[] logits, int columns) {
    float[] result = new float[logits.length];
    for (int row = 0; row < logits.length; row += columns) {
      double sum = 0;
      for (int i = row; i < row + columns; i++) {
        sum += Math.exp(logits[i]);
      }
      for (int i = row; i < row + columns; i++) {
        result[i] = (float) (Math.exp(logits[i]) / sum);
      }
    }
    return result;
  }

  private static float[] floats(JsonNode tensor) {
    ByteBuffer bytes = ByteBuffer.wrap(Base64.getDecoder().decode(tensor.get("data").asText())).order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[bytes.remaining() / Float.BYTES];
    bytes.asFloatBuffer().get(values);
    return values;
  }
}
