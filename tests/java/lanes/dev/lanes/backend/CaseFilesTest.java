package dev.lanes.backend;

import java.util.Arrays;
import java.util.Locale;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The shapes of {@code tests/cases/*.tsv} that have no test class of their own: the native kernels of each instruction set against the
 * Java reference, through views with the case's padding and offset.
 */
@ExtendWith(MemoryBaseline.class)
class CaseFilesTest {
  /** A view [rows, columns] of a wider tensor; closing it closes the whole. */
  private record Padded(Tensor whole, Tensor view) implements AutoCloseable {
    static Padded of(Backend b, int rows, int columns, int offset, int pad, float[] values) {
      Tensor whole = b.tensor(MemoryTag.OTHER, rows, offset + columns + pad);
      Tensor view = whole.columns(offset, columns);
      if (values != null) {
        view.copyFrom(values, 0);
      }
      return new Padded(whole, view);
    }

    @Override
    public void close() {
      whole.close();
    }
  }

  private static void each(String file, Consumer<Cases.Case> test) {
    Cases.read(file).forEach(test);
  }

  @Test
  void embed() {
    try (OpComparison comparison = new OpComparison()) {
      each("embed", c -> {
        for (DType dtype : c.dtypes()) {
          TestInputs inputs = new TestInputs(c + " " + dtype);
          int tokens = c.number("tokens");
          int hidden = c.number("hidden");
          int vocabulary = c.number("vocabulary");
          float[] weight = inputs.floats(vocabulary * hidden, dtype);
          float[] start = inputs.floats(tokens * hidden);
          int[] ids = inputs.ints(tokens, vocabulary);
          comparison.same(c + " " + dtype, b -> {
            try (PackedWeight w = TestBackends.weight(b, vocabulary, hidden, dtype, weight);
                Padded y = Padded.of(b, tokens, hidden, c.number("offset"), c.number("y_pad"), start)) {
              b.embed(new Op.Embed(w, ids, c.number("accumulate") != 0, y.view()));
              return y.view().toArray();
            }
          });
        }
      });
    }
  }

  @Test
  void combineAndGather() {
    try (OpComparison comparison = new OpComparison()) {
      each("combine", c -> {
        TestInputs inputs = new TestInputs(c.toString());
        int tokens = c.number("tokens");
        int columns = c.number("cols");
        int terms = c.number("terms");
        int rows = c.number("x_rows");
        int offset = c.number("offset");
        int pad = c.number("pad");
        float[] x = inputs.floats(rows * columns);
        float[] residual = inputs.floats(tokens * columns);
        float[] weight = inputs.floats(tokens * terms);
        int[] index = inputs.ints(tokens * terms, rows);
        double bound = 1e-6 * 5 * (terms + 1);
        for (boolean inPlace : new boolean[] {false, true}) {
          comparison.within(c, bound, b -> {
            try (Padded xs = Padded.of(b, rows, columns, offset, pad, x);
                Padded r = Padded.of(b, tokens, columns, offset, pad, residual);
                Padded ys = Padded.of(b, tokens, columns, offset, pad, null)) {
              boolean given = c.number("residual") != 0;
              Tensor y = given && inPlace ? r.view() : ys.view();
              b.combine(new Op.Combine(xs.view(), terms, index, weight, given ? r.view() : null, y));
              return y.toArray();
            }
          });
        }
        int[] one = Arrays.copyOf(index, Math.min(tokens, index.length));
        comparison.same(c, b -> {
          try (Padded xs = Padded.of(b, rows, columns, offset, pad, x);
              Padded ys = Padded.of(b, one.length, columns, offset, pad, null)) {
            b.gather(new Op.Gather(xs.view(), one, ys.view()));
            return ys.view().toArray();
          }
        });
      });
    }
  }

  @Test
  void gate() {
    try (OpComparison comparison = new OpComparison()) {
      each("gate", c -> {
        TestInputs inputs = new TestInputs(c.toString());
        int rows = c.number("rows");
        int columns = c.number("cols");
        int offset = c.number("offset");
        int pad = c.number("pad");
        float[] gate = inputs.floats(rows * columns);
        float[] up = inputs.floats(rows * columns);
        comparison.within(c, 1e-5, b -> {
          try (Padded g = Padded.of(b, rows, columns, offset, pad, gate);
              Padded u = Padded.of(b, rows, columns, offset, pad, up);
              Padded ys = Padded.of(b, rows, columns, offset, pad, null)) {
            Tensor y = switch (c.text("in_place")) {
              case "gate" -> g.view();
              case "up" -> u.view();
              case "-" -> ys.view();
              default -> throw new IllegalArgumentException(c.toString());
            };
            b.gate(new Op.Gate(Activation.valueOf(c.text("activation").toUpperCase(Locale.ROOT)), g.view(), u.view(), y));
            return y.toArray();
          }
        });
      });
    }
  }

  @Test
  void norm() {
    try (OpComparison comparison = new OpComparison()) {
      each("norm", c -> {
        TestInputs inputs = new TestInputs(c.toString());
        int rows = c.number("rows");
        int columns = c.number("cols");
        int offset = c.number("offset");
        float[] x = inputs.floats(rows * columns);
        float[] residual = inputs.floats(rows * columns);
        float[] weight = inputs.floats(columns);
        float[] bias = inputs.floats(columns);
        comparison.within(c, 1e-4, b -> {
          boolean withResidual = c.text("inputs").contains("r");
          boolean withSum = c.text("inputs").contains("s");
          try (Padded xs = Padded.of(b, rows, columns, offset, c.number("x_pad"), x);
              Padded r = Padded.of(b, rows, columns, offset, c.number("x_pad"), residual);
              Padded sum = Padded.of(b, rows, columns, offset, c.number("y_pad"), null);
              Padded ys = Padded.of(b, rows, columns, offset, c.number("y_pad"), null);
              Tensor w = TestBackends.tensor(b, 1, columns, weight);
              Tensor biases = TestBackends.tensor(b, 1, columns, bias)) {
            Tensor y = switch (c.text("in_place")) {
              case "x" -> xs.view();
              case "r" -> withResidual ? r.view() : ys.view();
              case "-" -> ys.view();
              default -> throw new IllegalArgumentException(c.toString());
            };
            b.norm(new Op.Norm(NormKind.valueOf(c.text("kind").toUpperCase(Locale.ROOT)), 1e-5f, xs.view(),
                withResidual ? r.view() : null, w, c.text("bias").equals("b") ? biases : null, withSum ? sum.view() : null, y));
            float[] both = Arrays.copyOf(y.toArray(), 2 * rows * columns);
            sum.view().copyTo(both, rows * columns);
            return both;
          }
        });
      });
    }
  }

  @Test
  void rope() {
    try (OpComparison comparison = new OpComparison()) {
      each("rope", c -> {
        TestInputs inputs = new TestInputs(c.toString());
        int tokens = c.number("tokens");
        int half = c.number("half");
        int width = c.number("heads") * c.number("head_dim");
        float[] x = inputs.floats(tokens * width);
        float[] cos = inputs.floats(tokens * half);
        float[] sin = inputs.floats(tokens * half);
        comparison.within(c, 1e-5, b -> {
          try (Padded cs = Padded.of(b, tokens, half, 0, half == 0 ? 1 : 0, cos);
              Padded ss = Padded.of(b, tokens, half, 0, half == 0 ? 1 : 0, sin);
              Padded xs = Padded.of(b, tokens, width, c.number("offset"), c.number("pad"), x);
              Padded ys = Padded.of(b, tokens, width, c.number("offset"), c.number("pad"), null)) {
            Tensor y = c.number("in_place") != 0 ? xs.view() : ys.view();
            b.rope(new Op.Rope(RopePairing.valueOf(c.text("pairing").toUpperCase(Locale.ROOT)), c.number("heads"), c.number("head_dim"),
                cs.view(), ss.view(), xs.view(), y));
            return y.toArray();
          }
        });
      });
    }
  }

  @Test
  void route() {
    try (OpComparison comparison = new OpComparison()) {
      each("route", c -> {
        int tokens = c.number("tokens");
        int experts = c.number("experts");
        int topK = c.number("top_k");
        float[] logits = new TestInputs(c.toString()).floats(tokens * experts);
        comparison.same(c, b -> experts(b, c, logits, new float[tokens * topK]));
        comparison.within(c, 1e-6, b -> {
          float[] weight = new float[tokens * topK];
          experts(b, c, logits, weight);
          return weight;
        });
      });
    }
  }

  private static int[] experts(Backend b, Cases.Case c, float[] logits, float[] weight) {
    try (Padded t = Padded.of(b, c.number("tokens"), c.number("experts"), 0, c.number("pad"), logits)) {
      int[] expert = new int[weight.length];
      b.route(new Op.Route(t.view(), c.number("top_k"), c.number("normalize") != 0, expert, weight));
      return expert;
    }
  }

  @Test
  void sample() {
    try (OpComparison comparison = new OpComparison()) {
      each("sample", c -> {
        TestInputs inputs = new TestInputs(c.toString());
        int rows = c.number("rows");
        int vocabulary = c.number("vocabulary");
        float[] logits = inputs.floats(rows * vocabulary);
        SampleRow[] how = new SampleRow[rows];
        for (int i = 0; i < rows; i++) {
          how[i] = new SampleRow(Float.parseFloat(c.text("temperature")), c.number("top_k"), Float.parseFloat(c.text("top_p")),
              Float.parseFloat(c.text("min_p")), Float.parseFloat(c.text("penalty")), inputs.random().nextLong(),
              inputs.random().nextLong(), inputs.ints(3, vocabulary));
        }
        comparison.same(c, b -> {
          try (Padded t = Padded.of(b, rows, vocabulary, 0, c.number("pad"), logits)) {
            int[] token = new int[rows];
            b.sample(new Op.Sample(t.view(), how, token, null));
            return token;
          }
        });
      });
    }
  }
}
