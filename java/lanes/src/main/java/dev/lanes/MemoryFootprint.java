package dev.lanes;

/**
 * Memory outside the Java heap that a model takes, known before it is loaded.
 *
 * @param memory whose memory it is: {@code memory} for the machine's, {@code memory of cuda:0 NVIDIA H200} for a GPU's
 * @param weightBytes weights, padding included
 * @param cacheBytes keys and values
 * @param scratchBytes buffers of a step
 * @param cacheTokens tokens of all sequences together that the cache has room for
 * @param cacheBytesPerToken keys and values of one token: 2 * layers * kv heads * head size * bytes of an element
 * @param contextLength tokens that prompt and output of one generation share
 * @param availableBytes what the system, or the GPU, said is free
 */
public record MemoryFootprint(String memory, long weightBytes, long cacheBytes, long scratchBytes, int cacheTokens, long cacheBytesPerToken,
    int contextLength, long availableBytes) {

  public long totalBytes() {
    return weightBytes + cacheBytes + scratchBytes;
  }
}
