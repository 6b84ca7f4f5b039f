package dev.lanes.context;

/**
 * What a context policy has to work with.
 *
 * @param limit tokens that prompt and output share
 * @param maxPositions positions that the model has at all
 * @param rotary whether positions are rotary, so that a sequence may run past {@code maxPositions} as long as no distance does
 */
public record ContextLimits(int limit, int maxPositions, boolean rotary) {
  public ContextLimits {
    if (limit < 1 || limit > maxPositions) {
      throw new IllegalArgumentException("contextLength is " + limit + ", expected 1 to " + maxPositions + ", the positions of the model");
    }
  }
}
