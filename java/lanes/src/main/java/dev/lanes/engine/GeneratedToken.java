package dev.lanes.engine;

/**
 * A token that was chosen.
 *
 * @param text text that became final with it
 * @param logProbability its log-probability, NaN when not asked for
 * @param topIds the likeliest tokens, or empty
 * @param topLogProbabilities their log-probabilities
 */
public record GeneratedToken(int id, String text, float logProbability, int[] topIds, float[] topLogProbabilities) {}
