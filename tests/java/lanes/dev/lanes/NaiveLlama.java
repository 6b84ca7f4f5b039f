package dev.lanes;

import static dev.lanes.TinyCheckpoint.EPSILON;
import static dev.lanes.TinyCheckpoint.HEADS;
import static dev.lanes.TinyCheckpoint.HEAD_DIM;
import static dev.lanes.TinyCheckpoint.HIDDEN;
import static dev.lanes.TinyCheckpoint.INNER;
import static dev.lanes.TinyCheckpoint.KV_HEADS;
import static dev.lanes.TinyCheckpoint.LAYERS;
import static dev.lanes.TinyCheckpoint.THETA;
import static dev.lanes.TinyCheckpoint.VOCABULARY;

import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * The Llama of {@link TinyCheckpoint#llama} in float64 and plain loops. For each token it lists the keys it may see and gives every one
 * of them, and the query, the position that the context policy's paper gives them; nothing is cached.
 */
public final class NaiveLlama {
  /** What a token sees. */
  public interface View {
    /** Whether the token at {@code query} sees the one at {@code key}; {@code key <= query}. */
    boolean sees(int query, int key);

    /** Whether positions are counted within what is seen (StreamingLLM), not from the start of the sequence. */
    boolean renumbers();
  }

  /** Everything before. */
  public static final View FULL = window(0, 0, false);

  private final TinyCheckpoint weights;

  public NaiveLlama(TinyCheckpoint weights) {
    this.weights = weights;
  }

  /** The last {@code window} tokens (0: all) and the first {@code sinks}. */
  public static View window(int window, int sinks, boolean renumber) {
    return new View() {
      @Override
      public boolean sees(int query, int key) {
        return window == 0 || key > query - window || key < sinks;
      }

      @Override
      public boolean renumbers() {
        return renumber;
      }
    };
  }

  /** [tokens][vocabulary]: logits of all positions. */
  public double[][] logits(int[] tokens, View view) {
    double[][] x = new double[tokens.length][HIDDEN];
    for (int t = 0; t < tokens.length; t++) {
      for (int i = 0; i < HIDDEN; i++) {
        x[t][i] = weights.tensor("model.embed_tokens.weight")[tokens[t] * HIDDEN + i];
      }
    }
    for (int layer = 0; layer < LAYERS; layer++) {
      String name = "model.layers." + layer + ".";
      add(x, attention(name + "self_attn.", norm(x, name + "input_layernorm.weight"), view));
      add(x, feedForward(name + "mlp.", norm(x, name + "post_attention_layernorm.weight")));
    }
    return linear(norm(x, "model.norm.weight"), "lm_head.weight", VOCABULARY, HIDDEN);
  }

  private double[][] attention(String name, double[][] x, View view) {
    double[][] q = linear(x, name + "q_proj.weight", HEADS * HEAD_DIM, HIDDEN);
    double[][] k = linear(x, name + "k_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN);
    double[][] v = linear(x, name + "v_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN);
    double[][] out = new double[x.length][HEADS * HEAD_DIM];
    for (int t = 0; t < x.length; t++) {
      int[] seen = IntStream.rangeClosed(0, t).filter(keysOf(view, t)).toArray();
      for (int h = 0; h < HEADS; h++) {
        attend(t, h, seen, view.renumbers(), q, k, v, out[t]);
      }
    }
    return linear(out, name + "o_proj.weight", HIDDEN, HEADS * HEAD_DIM);
  }

  private static IntPredicate keysOf(View view, int query) {
    return key -> view.sees(query, key);
  }

  private static void attend(int t, int head, int[] seen, boolean renumber, double[][] q, double[][] k, double[][] v, double[] out) {
    int kvHead = head / (HEADS / KV_HEADS);
    double[] query = rotate(q[t], head * HEAD_DIM, renumber ? seen.length - 1 : t);
    double[] weight = new double[seen.length];
    double largest = Double.NEGATIVE_INFINITY;
    for (int j = 0; j < seen.length; j++) {
      double[] key = rotate(k[seen[j]], kvHead * HEAD_DIM, renumber ? j : seen[j]);
      for (int i = 0; i < HEAD_DIM; i++) {
        weight[j] += query[i] * key[i];
      }
      weight[j] /= Math.sqrt(HEAD_DIM);
      largest = Math.max(largest, weight[j]);
    }
    double sum = 0;
    for (int j = 0; j < seen.length; j++) {
      weight[j] = Math.exp(weight[j] - largest);
      sum += weight[j];
    }
    for (int j = 0; j < seen.length; j++) {
      for (int i = 0; i < HEAD_DIM; i++) {
        out[head * HEAD_DIM + i] += weight[j] / sum * v[seen[j]][kvHead * HEAD_DIM + i];
      }
    }
  }

  private static double[] rotate(double[] row, int begin, int position) {
    double[] rotated = new double[HEAD_DIM];
    int half = HEAD_DIM / 2;
    for (int i = 0; i < half; i++) {
      double angle = position * Math.pow(THETA, -2.0 * i / HEAD_DIM);
      double a = row[begin + i];
      double b = row[begin + half + i];
      rotated[i] = a * Math.cos(angle) - b * Math.sin(angle);
      rotated[half + i] = b * Math.cos(angle) + a * Math.sin(angle);
    }
    return rotated;
  }

  private double[][] feedForward(String name, double[][] x) {
    double[][] gate = linear(x, name + "gate_proj.weight", INNER, HIDDEN);
    double[][] up = linear(x, name + "up_proj.weight", INNER, HIDDEN);
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < INNER; i++) {
        up[t][i] *= gate[t][i] / (1 + Math.exp(-gate[t][i]));
      }
    }
    return linear(up, name + "down_proj.weight", HIDDEN, INNER);
  }

  private double[][] norm(double[][] x, String name) {
    double[][] y = new double[x.length][HIDDEN];
    for (int t = 0; t < x.length; t++) {
      double squares = 0;
      for (double value : x[t]) {
        squares += value * value;
      }
      for (int i = 0; i < HIDDEN; i++) {
        y[t][i] = x[t][i] / Math.sqrt(squares / HIDDEN + EPSILON) * weights.tensor(name)[i];
      }
    }
    return y;
  }

  private double[][] linear(double[][] x, String name, int rows, int columns) {
    float[] w = weights.tensor(name);
    double[][] y = new double[x.length][rows];
    for (int t = 0; t < x.length; t++) {
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
          y[t][r] += w[r * columns + c] * x[t][c];
        }
      }
    }
    return y;
  }

  private static void add(double[][] x, double[][] y) {
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < x[t].length; i++) {
        x[t][i] += y[t][i];
      }
    }
  }
}
