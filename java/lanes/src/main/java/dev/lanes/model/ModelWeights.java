package dev.lanes.model;

import java.util.List;
import java.util.function.Function;

/**
 * The weights of a model in the order a step uses them. With plans as type arguments it says what to load, with tensors it is what
 * was loaded. Parts that a model does not have are null.
 *
 * @param <M> a matrix
 * @param <V> a vector
 * @param tokens token embedding [vocabulary, hidden]
 * @param positions learned positions [maxPositions, hidden], or null
 * @param tokenTypes token types [types, hidden], or null
 * @param embeddingNorm or null
 * @param finalNorm or null
 * @param head LM head [vocabulary, hidden]: the same object as {@code tokens} when tied; null for an encoder
 */
record ModelWeights<M, V>(
    M tokens, M positions, M tokenTypes, Norm<V> embeddingNorm, List<Layer<M, V>> layers, Norm<V> finalNorm, M head) {

  record Norm<V>(V weight, V bias) {}

  /**
   * @param weights the matrix, or matrices below each other where parts are quantized differently
   * @param bias over the rows of all of them, or null
   */
  record Linear<M, V>(List<M> weights, V bias) {}

  /** @param qkv [(heads + 2 * kvHeads) * headDim, hidden], the rows of Q first, then K, then V */
  record Layer<M, V>(
      Norm<V> attentionNorm, Linear<M, V> qkv, Linear<M, V> attentionOutput, Norm<V> feedForwardNorm, FeedForward<M, V> feedForward) {}

  /**
   * @param router [experts, hidden]; null for a dense network, which is then its only expert
   */
  record FeedForward<M, V>(M router, List<Expert<M, V>> experts) {}

  /** @param in [intermediate, hidden], or [2 * intermediate, hidden] with the gate's rows first */
  record Expert<M, V>(Linear<M, V> in, Linear<M, V> out) {}

  /** The same weights in another form; what is shared stays shared. */
  <N, W> ModelWeights<N, W> map(Function<M, N> matrix, Function<V, W> vector) {
    Mapper<M, V, N, W> mapper = new Mapper<>(matrix, vector);
    N mappedTokens = matrix.apply(tokens);
    return new ModelWeights<>(
        mappedTokens,
        mapper.matrix(positions),
        mapper.matrix(tokenTypes),
        mapper.norm(embeddingNorm),
        layers.stream().map(mapper::layer).toList(),
        mapper.norm(finalNorm),
        head == tokens ? mappedTokens : mapper.matrix(head));
  }

  private record Mapper<M, V, N, W>(Function<M, N> matrixMap, Function<V, W> vectorMap) {
    N matrix(M matrix) {
      return matrix == null ? null : matrixMap.apply(matrix);
    }

    W vector(V vector) {
      return vector == null ? null : vectorMap.apply(vector);
    }

    Norm<W> norm(Norm<V> norm) {
      return norm == null ? null : new Norm<>(vector(norm.weight), vector(norm.bias));
    }

    Linear<N, W> linear(Linear<M, V> linear) {
      return new Linear<>(linear.weights.stream().map(this::matrix).toList(), vector(linear.bias));
    }

    Layer<N, W> layer(Layer<M, V> layer) {
      return new Layer<>(norm(layer.attentionNorm), linear(layer.qkv), linear(layer.attentionOutput), norm(layer.feedForwardNorm),
          new FeedForward<>(matrix(layer.feedForward.router), layer.feedForward.experts.stream().map(this::expert).toList()));
    }

    Expert<N, W> expert(Expert<M, V> expert) {
      return new Expert<>(linear(expert.in), linear(expert.out));
    }
  }
}
