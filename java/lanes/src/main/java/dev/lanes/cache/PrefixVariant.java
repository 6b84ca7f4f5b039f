package dev.lanes.cache;

/**
 * What keys and values depend on besides the tokens before them. Two sequences may share pages only when theirs are equal: with
 * another window a layer reads other tokens, and from the second layer on its keys and values are other numbers.
 *
 * @param window the context policy's window in tokens, 0 for none
 * @param sinks the first tokens that stay visible beside the window
 */
public record PrefixVariant(long window, long sinks) {
  /** Every token sees all before it. */
  public static final PrefixVariant FULL = new PrefixVariant(0, 0);
}
