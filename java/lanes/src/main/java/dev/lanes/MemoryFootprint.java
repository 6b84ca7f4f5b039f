package dev.lanes;

/**
 * Memory outside the Java heap that a model takes, known before it is loaded.
 *
 * @param weightBytes weights, padding included
 * @param cacheBytes keys and values
 * @param scratchBytes buffers of a step
 * @param cacheTokens tokens of all sequences together that the cache has room for
 * @param cacheBytesPerToken keys and values of one token: 2 * layers * kv heads * head size * bytes of an element
 * @param contextLength tokens that prompt and output of one generation share
 * @param availableBytes what the system said is free
 */
public record MemoryFootprint(long weightBytes, long cacheBytes, long scratchBytes, int cacheTokens, long cacheBytesPerToken,
    int contextLength, long availableBytes) {

  public long totalBytes() {
    return weightBytes + cacheBytes + scratchBytes;
  }
}
