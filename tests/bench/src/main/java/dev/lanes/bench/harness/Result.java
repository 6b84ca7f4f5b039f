package dev.lanes.bench.harness;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;

/**
 * The figures of a case, all in {@code unit}.
 *
 * @param peerName null, as {@code peer} is, where there is no peer
 * @param peer null where there is no peer
 * @param expected what was predicted for ours, null where nothing was
 */
public record Result(
    String name, String unit, Figure ours, String peerName, Figure peer, String ceilingName, Figure ceiling, Double expected) {
  /** Without a prediction. */
  public Result(String name, String unit, Figure ours, String peerName, Figure peer, String ceilingName, Figure ceiling) {
    this(name, unit, ours, peerName, peer, ceilingName, ceiling, null);
  }

  /** Ours over the peer, or NaN where there is no peer. */
  public double ratio() {
    return peer == null ? Double.NaN : ours.median() / peer.median();
  }

  public double percentOfCeiling() {
    return 100 * ours.median() / ceiling.median();
  }

  /** One line for people. */
  public String line() {
    String left = String.format(Locale.ROOT, "%-36s ours %s", name, text(ours));
    String middle =
        peer == null
            ? String.format(Locale.ROOT, "%-68s", "no peer")
            : String.format(Locale.ROOT, "%-40s %s  x%.2f", peerName, text(peer), ratio());
    String right =
        expected == null ? "" : String.format(Locale.ROOT, "  predicted %s: x%.2f", number(expected), ours.median() / expected);
    return String.format(
        Locale.ROOT, "%s  %s  %5.1f%% of %s %s %s%s", left, middle, percentOfCeiling(), number(ceiling.median()), unit, ceilingName, right);
  }

  /** An object with the median, {@code min} and {@code max} of each figure. */
  public ObjectNode json() {
    ObjectNode node = JsonNodeFactory.instance.objectNode();
    node.put("name", name);
    node.put("unit", unit);
    node.put("ours", ours.median());
    node.put("min", ours.min());
    node.put("max", ours.max());
    node.put("peerName", peerName);
    if (peer == null) {
      node.putNull("peer");
      node.putNull("peerMin");
      node.putNull("peerMax");
      node.putNull("ratio");
    } else {
      node.put("peer", peer.median());
      node.put("peerMin", peer.min());
      node.put("peerMax", peer.max());
      node.put("ratio", ratio());
    }
    node.put("ceiling", ceiling.median());
    node.put("ceilingMin", ceiling.min());
    node.put("ceilingMax", ceiling.max());
    node.put("ceilingName", ceilingName);
    node.put("percentOfCeiling", percentOfCeiling());
    node.put("expected", expected);
    return node;
  }

  private static String text(Figure figure) {
    return String.format(Locale.ROOT, "%8s [%s..%s]", number(figure.median()), number(figure.min()), number(figure.max()));
  }

  /** Four digits at least, so that small and large rates read alike. */
  private static String number(double value) {
    return String.format(Locale.ROOT, value >= 1000 ? "%.0f" : value >= 10 ? "%.1f" : "%.3f", value);
  }
}
