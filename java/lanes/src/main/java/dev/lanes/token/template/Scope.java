package dev.lanes.token.template;

/**
 * What the compiler knows about the place of a node.
 *
 * @param soft whether the node may never run, so that an unknown filter is an error only if it does
 * @param loop whether break and continue have a loop to act on
 */
record Scope(Symbols symbols, boolean soft, boolean loop) {
  /** A scope inside this one that runs in the same function. */
  Scope inner() {
    return new Scope(new Symbols(symbols, symbols.function()), false, loop);
  }

  /** A scope inside this one that is a function of its own. */
  Scope function() {
    return new Scope(new Symbols(symbols, new Symbols.Function(symbols.function())), false, false);
  }

  Scope conditional() {
    return new Scope(symbols, true, loop);
  }

  Scope looping() {
    return new Scope(symbols, soft, true);
  }
}
