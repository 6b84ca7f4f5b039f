package dev.lanes.engine;

/**
 * A request for logits or hidden states of every position of a sequence. The arrays are filled; one that is null is not wanted.
 *
 * @param tokens [tokens]
 * @param logits [tokens][vocabulary] or null
 * @param hidden [tokens][hidden] after the final norm, or null
 * @param layers [layers + 1][tokens][hidden] or null
 */
public record ForwardRequest(int[] tokens, float[][] logits, float[][] hidden, float[][][] layers) {}
