package dev.lanes.model;

import dev.lanes.backend.PackedWeight;
import dev.lanes.error.UnsupportedModelException;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.LinearGroup.Key;
import dev.lanes.model.LinearGroup.Kind;
import dev.lanes.model.LinearGroup.Source;
import dev.lanes.model.ModelWeights.FeedForward;
import dev.lanes.model.ModelWeights.Layer;
import dev.lanes.model.ModelWeights.Linear;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Which linear layers of a model can be quantized together, read from its recipe. */
public final class LinearGroups {
  private final Checkpoint checkpoint;
  private final ModelConfig config;
  private final Architecture architecture;
  private final String prefix;
  private final List<LinearGroup> groups = new ArrayList<>();

  private LinearGroups(Checkpoint checkpoint, ModelConfig config) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.architecture = Architectures.of(config);
    this.prefix = WeightPlan.prefix(checkpoint, architecture);
  }

  /**
   * The groups in the order in which a step meets them.
   *
   * @throws UnsupportedModelException if the architecture has no W8A8 layout: its linear layers are no modules of the class
   *     {@code Linear}, or it predicts no tokens
   */
  public static List<LinearGroup> of(Checkpoint checkpoint, ModelConfig config) {
    return new LinearGroups(checkpoint, config).find();
  }

  private List<LinearGroup> find() {
    if (architecture.attention().inputMajor()) {
      throw new UnsupportedModelException(config.file(), "architectures", config.architecture()
          + " keeps its matrices as Conv1D modules, for which W8A8 checkpoints have no layout; load it with --quantize w8a8 instead");
    }
    if (!architecture.causal()) {
      throw new UnsupportedModelException(config.file(), "architectures",
          config.architecture() + " is an encoder: it predicts no tokens to judge the quantized model by");
    }
    for (int i = 0; i < config.layers(); i++) {
      String layer = prefix + architecture.layer().replace("{i}", Integer.toString(i));
      attention(i, layer);
      if (architecture.feedForward() instanceof Architecture.Gated gated) {
        dense(i, layer, gated);
      } else {
        mixture(i, layer, (Architecture.Mixture) architecture.feedForward());
      }
    }
    return List.copyOf(groups);
  }

  private void attention(int i, String layer) {
    ModelConfig.Attention attention = config.attention();
    List<String> qkv = architecture.attention().qkv().stream().map(layer::concat).toList();
    add(new Key(i, Kind.QKV, 0), List.of(qkv), List.of(), norm(layer + architecture.attentionNorm()));
    int headDim = attention.headDim();
    int sharing = attention.heads() / attention.kvHeads();
    int[] valueRow = IntStream.range(0, attention.heads() * headDim)
        .map(channel -> channel / headDim / sharing * headDim + channel % headDim).toArray();
    add(new Key(i, Kind.ATTENTION_OUTPUT, 0), List.of(List.of(layer + architecture.attention().output())), List.of(),
        new Source(qkv.get(qkv.size() - 1), false, valueRow, attention.kvHeads() * headDim));
  }

  private void dense(int i, String layer, Architecture.Gated names) {
    add(new Key(i, Kind.FEED_FORWARD_IN, 0), List.of(List.of(layer + names.gate(), layer + names.up())), List.of(),
        norm(layer + architecture.feedForwardNorm()));
    add(new Key(i, Kind.FEED_FORWARD_OUT, 0), List.of(List.of(layer + names.down())), List.of(), rows(layer + names.up()));
  }

  private void mixture(int i, String layer, Architecture.Mixture mixture) {
    if (mixture.fused() != null && checkpoint.contains(layer + mixture.fused().gateUp())) {
      throw new UnsupportedModelException(checkpoint.fileOf(layer + mixture.fused().gateUp()), layer + mixture.fused().gateUp(),
          "holds all experts in one tensor; W8A8 checkpoints have a module for each expert");
    }
    int experts = config.experts().orElseThrow().count();
    List<List<String>> in = new ArrayList<>();
    for (int e = 0; e < experts; e++) {
      in.add(List.of(layer + expert(mixture.expert().gate(), e), layer + expert(mixture.expert().up(), e)));
    }
    add(new Key(i, Kind.FEED_FORWARD_IN, 0), in, List.of(layer + mixture.router()), norm(layer + architecture.feedForwardNorm()));
    for (int e = 0; e < experts; e++) {
      add(new Key(i, Kind.FEED_FORWARD_OUT, e), List.of(List.of(layer + expert(mixture.expert().down(), e))), List.of(),
          rows(layer + expert(mixture.expert().up(), e)));
    }
  }

  private static String expert(String name, int e) {
    return name.replace("{e}", Integer.toString(e));
  }

  private Source norm(String module) {
    return new Source(module, true, IntStream.range(0, config.hiddenSize()).toArray(), config.hiddenSize());
  }

  private Source rows(String module) {
    return new Source(module, false, IntStream.range(0, config.intermediateSize()).toArray(), config.intermediateSize());
  }

  private void add(Key key, List<List<String>> fused, List<String> readers, Source source) {
    groups.add(new LinearGroup(key, source.element().length, fused, readers, source));
  }

  /** The packed weights of a group, one for each of {@link LinearGroup#fused()}, in a model of floats. */
  static List<PackedWeight> weights(ModelWeights<LoadedMatrix, ?> weights, Key key) {
    Layer<LoadedMatrix, ?> layer = weights.layers().get(key.layer());
    FeedForward<LoadedMatrix, ?> network = layer.feedForward();
    List<? extends Linear<LoadedMatrix, ?>> linears = switch (key.kind()) {
      case QKV -> List.of(layer.qkv());
      case ATTENTION_OUTPUT -> List.of(layer.attentionOutput());
      case FEED_FORWARD_IN -> network.experts().stream().map(ModelWeights.Expert::in).toList();
      case FEED_FORWARD_OUT -> List.of(network.experts().get(key.expert()).out());
    };
    return linears.stream().flatMap(linear -> linear.weights().stream()).map(LoadedMatrix::weight).toList();
  }
}
