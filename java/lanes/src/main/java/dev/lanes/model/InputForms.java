package dev.lanes.model;

import dev.lanes.backend.DType;
import java.util.EnumSet;
import java.util.Set;

/**
 * The types in which inputs of linear layers come, over all layers: those of {@link LinearInput#form}.
 *
 * @param normed what norms give to attention or feed-forward network
 * @param attention what attention gives to its output projection, never int8
 * @param inner what goes into the second linear layer of a feed-forward network, int8 only behind a gate
 * @param last what the final norm gives to the LM head, of which there may be none; never int8
 */
record InputForms(Set<DType> normed, Set<DType> attention, Set<DType> inner, DType last) {
  static <M extends LinearInput> InputForms of(ModelWeights<M, ?> weights, ModelShape shape, ComputeChoice compute) {
    Set<DType> normed = EnumSet.noneOf(DType.class);
    Set<DType> attention = EnumSet.noneOf(DType.class);
    Set<DType> inner = EnumSet.noneOf(DType.class);
    for (ModelWeights.Layer<M, ?> layer : weights.layers()) {
      ModelWeights.FeedForward<M, ?> network = layer.feedForward();
      if (!shape.postNorm()) {
        normed.add(LinearInput.form(layer.qkv(), compute));
        normed.add(network.router() == null ? LinearInput.form(network.experts().get(0).in(), compute) : DType.F32);
      }
      attention.add(LinearInput.floatForm(layer.attentionOutput(), compute));
      for (ModelWeights.Expert<M, ?> expert : network.experts()) {
        inner.add(shape.gated() ? LinearInput.form(expert.out(), compute) : LinearInput.floatForm(expert.out(), compute));
      }
    }
    DType last = weights.finalNorm() == null || weights.head() == null ? DType.F32 : LinearInput.floatForm(weights.head(), compute);
    return new InputForms(normed, attention, inner, last);
  }
}
