package dev.lanes.model;

import java.util.List;

/**
 * Linear layers that read the same activations: what quantization treats together.
 *
 * @param key which group of the model
 * @param columns width of the activations
 * @param fused the modules, by packed weight: those of one lie below each other in one matrix
 * @param readers modules that read the same activations and always stay float: the router of experts
 * @param source where the activations' channels get their magnitude from
 */
public record LinearGroup(Key key, int columns, List<List<String>> fused, List<String> readers, Source source) {
  /** The places in a layer where activations meet weights. */
  public enum Kind {
    QKV,
    ATTENTION_OUTPUT,
    FEED_FORWARD_IN,
    FEED_FORWARD_OUT
  }

  /**
   * @param expert number of the expert whose activations these are; 0 where there is one only
   */
  public record Key(int layer, Kind kind, int expert) {}

  /**
   * Weights that each channel of the activations is proportional to: dividing them by a number and multiplying the channel's column of
   * every linear layer of the group by it changes nothing but roundings.
   *
   * @param module a norm, or a linear layer whose rows they are
   * @param norm which of the two
   * @param element [columns]: row or element of {@code module} for each channel. Channels share one where heads share values
   * @param elements rows or elements of {@code module}
   */
  public record Source(String module, boolean norm, int[] element, int elements) {}

  /** All modules of the group. */
  public List<String> modules() {
    return fused.stream().flatMap(List::stream).toList();
  }
}
