package dev.lanes.model;

import dev.lanes.backend.Activation;
import dev.lanes.backend.Backend;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.backend.QuantizedTensor;
import dev.lanes.backend.RopePairing;
import dev.lanes.backend.Tensor;
import dev.lanes.model.ModelWeights.Expert;
import dev.lanes.model.ModelWeights.FeedForward;
import dev.lanes.model.ModelWeights.Layer;
import dev.lanes.model.ModelWeights.Linear;
import dev.lanes.model.ModelWeights.Norm;
import java.util.ArrayList;
import java.util.List;

/** The one forward pass of all architectures. */
final class ForwardPass {
  private final Backend backend;
  private final ModelShape shape;
  private final ModelWeights<LoadedMatrix, Tensor> weights;
  private final double[] inverseFrequency;
  private final ComputeChoice compute;
  private final Scratch scratch;
  private final ExpertRouting routing;

  /** What a step carries from op to op. */
  private record Step(StepBatch batch, Scratch.Views at, Scratch.SinkViews sink, Op.Rotation rotation, LayerWindows windows) {}

  /**
   * What goes into a linear layer, as float32 or bfloat16, or quantized.
   *
   * @param scale what the op that computes it quantizes it with; 0 for each row's own scale
   */
  private record Input(Tensor x, QuantizedTensor quantized, float scale) {
    static Input of(Tensor x) {
      return new Input(x, null, 0);
    }
  }

  ForwardPass(Backend backend, ModelShape shape, ModelWeights<LoadedMatrix, Tensor> weights, double[] inverseFrequency,
      ComputeChoice compute, Scratch scratch) {
    this.backend = backend;
    this.shape = shape;
    this.weights = weights;
    this.inverseFrequency = inverseFrequency;
    this.compute = compute;
    this.scratch = scratch;
    this.routing = new ExpertRouting(shape.experts(), shape.expertsPerToken());
  }

  StepOutput run(StepBatch batch) {
    try (Backend.Batch ops = backend.batch()) {
      return step(batch);
    }
  }

  private StepOutput step(StepBatch batch) {
    int tokens = batch.tokens().length;
    scratch.reserve(tokens, batch.logitRows().length);
    routing.resize(tokens);
    Scratch.Views at = scratch.views(tokens);
    Step step = new Step(batch, at, batch.sinkPositions() == null ? null : scratch.sinkViews(tokens),
        shape.rotaryHalf() == 0 ? null : new Op.Rotation(RopePairing.HALF, at.cos(), at.sin(), at.q()), new LayerWindows(batch.ragged()));
    List<float[]> layers = new ArrayList<>();
    embed(step);
    rotations(step);
    for (int i = 0; i < shape.layers(); i++) {
      if (batch.hidden() == StepBatch.Hidden.ALL) {
        layers.add(step.at.stream().toArray());
      }
      attend(step, i, weights.layers().get(i));
      feedForward(step, weights.layers().get(i));
    }
    return output(step, layers);
  }

  private void embed(Step step) {
    StepBatch batch = step.batch;
    Tensor x = step.at.stream();
    backend.embed(new Op.Embed(weights.tokens().weight(), batch.tokens(), false, x));
    if (weights.positions() != null) {
      int[] positions = new int[batch.positions().length];
      for (int i = 0; i < positions.length; i++) {
        positions[i] = (int) batch.positions()[i];
      }
      backend.embed(new Op.Embed(weights.positions().weight(), positions, true, x));
    }
    if (weights.tokenTypes() != null) {
      backend.embed(new Op.Embed(weights.tokenTypes().weight(), new int[batch.tokens().length], true, x));
    }
    if (weights.embeddingNorm() != null) {
      norm(weights.embeddingNorm(), x, x);
    }
  }

  private void rotations(Step step) {
    if (shape.rotaryHalf() > 0) {
      backend.ropeTable(new Op.RopeTable(step.batch.positions(), inverseFrequency, 1, step.at.cos(), step.at.sin()));
    }
    if (step.sink != null) {
      backend.ropeTable(new Op.RopeTable(step.batch.sinkPositions(), inverseFrequency, 1, step.sink.cos(), step.sink.sin()));
    }
  }

  private void attend(Step step, int index, Layer<LoadedMatrix, Tensor> layer) {
    Scratch.Views at = step.at;
    StepBatch batch = step.batch;
    Tensor x = at.stream();
    linear(layer.qkv(), inputOf(layer.attentionNorm(), layer.qkv(), at), null, Activation.NONE, at.qkv());
    Tensor sinkQueries = null;
    if (step.sink != null) {
      sinkQueries = step.sink.q();
      backend.rope(new Op.Rope(RopePairing.HALF, shape.heads(), shape.headDim(), step.sink.cos(), step.sink.sin(), at.q(), sinkQueries));
    }
    backend.kvWrite(new Op.KvWrite(batch.pages(), index, batch.slots(), at.k(), at.v(), step.rotation));
    Input attended = as(LinearInput.floatForm(layer.attentionOutput(), compute), at.attention(), layer.attentionOutput());
    backend.attention(new Op.Attention(batch.pages(), index, shape.heads(), shape.causal(), shape.scales()[index], at.q(), sinkQueries,
        step.windows.of(shape.windows()[index]), compute.of(batch.pages().spec().dtype()), attended.x));
    linear(layer.attentionOutput(), attended, x, Activation.NONE, x);
    if (shape.postNorm()) {
      norm(layer.attentionNorm(), x, x);
    }
  }

  private void feedForward(Step step, Layer<LoadedMatrix, Tensor> layer) {
    Scratch.Views at = step.at;
    Tensor x = at.stream();
    FeedForward<LoadedMatrix, Tensor> network = layer.feedForward();
    if (network.router() == null) {
      Expert<LoadedMatrix, Tensor> only = network.experts().get(0);
      expert(only, inputOf(layer.feedForwardNorm(), only.in(), at), at.inner(), x, x);
    } else {
      mixture(network, at, floatInputOf(layer.feedForwardNorm(), at));
    }
    if (shape.postNorm()) {
      norm(layer.feedForwardNorm(), x, x);
    }
  }

  /** The input to attention or feed-forward network, as its first linear layer wants it: normed unless the norm comes after. */
  private Input inputOf(Norm<Tensor> norm, Linear<LoadedMatrix, Tensor> next, Scratch.Views at) {
    if (shape.postNorm()) {
      return Input.of(at.stream());
    }
    Input normed = as(LinearInput.form(next, compute), at.normed(), next);
    backend.norm(new Op.Norm(shape.norm(), shape.epsilon(), at.stream(), null, norm.weight(), norm.bias(), null, normed.x, normed.quantized,
        normed.scale));
    return normed;
  }

  /** The rows that the input of a layer is written to. */
  private static Input as(DType form, Scratch.Rows rows, Linear<LoadedMatrix, Tensor> next) {
    return switch (form) {
      case S8 -> new Input(null, rows.int8(), next.weights().get(0).inputScale());
      case BF16 -> Input.of(rows.bf16());
      default -> Input.of(rows.f32());
    };
  }

  private Tensor floatInputOf(Norm<Tensor> norm, Scratch.Views at) {
    if (shape.postNorm()) {
      return at.stream();
    }
    norm(norm, at.stream(), at.normed().f32());
    return at.normed().f32();
  }

  private void expert(Expert<LoadedMatrix, Tensor> expert, Input input, Scratch.InnerViews inner, Tensor residual, Tensor y) {
    Input result;
    if (shape.gated()) {
      result = as(LinearInput.form(expert.out(), compute), inner.result(), expert.out());
      linear(expert.in(), input, null, Activation.NONE, inner.all());
      backend.gate(new Op.Gate(shape.activation(), inner.gate(), inner.up(), result.x, result.quantized, result.scale));
    } else {
      result = as(LinearInput.floatForm(expert.out(), compute), inner.result(), expert.out());
      linear(expert.in(), input, null, shape.activation(), result.x);
    }
    linear(expert.out(), result, residual, Activation.NONE, y);
  }

  /** Every expert works on its tokens at once; an expert's results take the place of its inputs. */
  private void mixture(FeedForward<LoadedMatrix, Tensor> network, Scratch.Views at, Tensor input) {
    LoadedMatrix router = network.router();
    Compute how = router.dtype() == DType.S8 ? Compute.INT8 : Compute.EXACT;
    multiply(router, how, Input.of(input), null, null, Activation.NONE, at.router());
    backend.route(new Op.Route(at.router(), routing.perToken(), shape.normalizeExperts(), routing.expert(), routing.weight()));
    routing.group();
    backend.gather(new Op.Gather(input, routing.token(), at.experts()));
    for (int e = 0; e < shape.experts(); e++) {
      int count = routing.count(e);
      if (count > 0) {
        Tensor rows = at.experts().rows(routing.begin(e), count);
        expert(network.experts().get(e), Input.of(rows), scratch.inner(routing.begin(e), count), null, rows);
      }
    }
    backend.combine(new Op.Combine(at.experts(), routing.perToken(), routing.row(), routing.weight(), at.stream(), at.stream()));
  }

  /** Final norm and LM head, on the wanted rows only unless all hidden states are asked for. */
  private StepOutput output(Step step, List<float[]> layers) {
    StepBatch batch = step.batch;
    int rows = batch.logitRows().length;
    Tensor hidden = null;
    if (batch.hidden() != StepBatch.Hidden.NONE) {
      hidden = step.at.stream();
      if (weights.finalNorm() != null) {
        norm(weights.finalNorm(), hidden, hidden);
      }
      if (batch.hidden() == StepBatch.Hidden.ALL) {
        layers.add(hidden.toArray());
      }
    }
    if (rows == 0) {
      return new StepOutput(null, hidden, layers);
    }
    Scratch.LogitViews views = scratch.logitViews(rows);
    boolean all = rows == batch.tokens().length;
    Tensor last = hidden != null ? hidden : step.at.stream();
    if (!all) {
      backend.gather(new Op.Gather(last, batch.logitRows(), views.last()));
      last = views.last();
    }
    if (hidden == null && weights.finalNorm() != null) {
      norm(weights.finalNorm(), last, views.normed());
      last = views.normed();
    }
    multiply(weights.head(), compute.of(weights.head().dtype()), Input.of(last), null, null, Activation.NONE, views.logits());
    return new StepOutput(views.logits(), hidden, layers);
  }

  private void linear(Linear<LoadedMatrix, Tensor> layer, Input input, Tensor residual, Activation activation, Tensor y) {
    List<LoadedMatrix> matrices = layer.weights();
    if (matrices.size() == 1) {
      multiply(matrices.get(0), compute.of(matrices.get(0).dtype()), input, layer.bias(), residual, activation, y);
      return;
    }
    int begin = 0;
    for (LoadedMatrix matrix : matrices) {
      int rows = matrix.rows();
      multiply(matrix, compute.of(matrix.dtype()), input, layer.bias() == null ? null : layer.bias().columns(begin, rows),
          residual == null ? null : residual.columns(begin, rows), activation, y.columns(begin, rows));
      begin += rows;
    }
  }

  private void multiply(LoadedMatrix matrix, Compute how, Input input, Tensor bias, Tensor residual, Activation activation, Tensor y) {
    float inputScale = input.quantized == null ? matrix.inputScale() : 0;
    backend.linear(new Op.Linear(input.x, input.quantized, inputScale, matrix.weight(), bias, residual, activation, how, y));
  }

  private void norm(Norm<Tensor> norm, Tensor x, Tensor y) {
    backend.norm(new Op.Norm(shape.norm(), shape.epsilon(), x, null, norm.weight(), norm.bias(), null, y));
  }

  /** The batch's windows narrowed by those of the layers; most models have one window for all layers. */
  private static final class LayerWindows {
    private final Op.Ragged asked;
    private int lastWindow;
    private Op.Ragged last;

    LayerWindows(Op.Ragged asked) {
      this.asked = asked;
      this.last = asked;
    }

    Op.Ragged of(int layerWindow) {
      if (layerWindow == 0) {
        return asked;
      }
      if (layerWindow != lastWindow) {
        long[] window = asked.window().clone();
        for (int s = 0; s < window.length; s++) {
          window[s] = window[s] == 0 ? layerWindow : Math.min(window[s], layerWindow);
        }
        last = new Op.Ragged(asked.queryBegin(), asked.keyCount(), asked.pageTable(), window, asked.sinks());
        lastWindow = layerWindow;
      }
      return last;
    }
  }
}
