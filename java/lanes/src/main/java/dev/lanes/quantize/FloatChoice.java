package dev.lanes.quantize;

import dev.lanes.model.LinearGroup;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/** Chooses which groups stay float: the fewest, those first that do the most harm for their size. */
final class FloatChoice {
  private final QuantizeOptions options;
  private final Function<Set<LinearGroup.Key>, Quality> measure;
  private final Function<Set<LinearGroup.Key>, Quality> estimate;
  private final Map<LinearGroup.Key, Double> divergence = new HashMap<>();
  private final Set<LinearGroup.Key> kept = new HashSet<>();
  private String outcome = "";

  /**
   * @param measure how good the model is with these groups int8 and all others float
   * @param estimate the same over fewer tokens, to rank single groups
   */
  FloatChoice(QuantizeOptions options, Function<Set<LinearGroup.Key>, Quality> measure,
      Function<Set<LinearGroup.Key>, Quality> estimate) {
    this.options = options;
    this.measure = measure;
    this.estimate = estimate;
  }

  void choose(List<QuantizedGroup> groups) {
    Quality all = measure.apply(keys(groups, 0));
    if (meets(all)) {
      outcome = describe(all, "met with every layer int8");
      return;
    }
    List<QuantizedGroup> ranked = new ArrayList<>(groups);
    for (QuantizedGroup group : groups) {
      divergence.put(group.group().key(), estimate.apply(Set.of(group.group().key())).meanDivergence());
      options.progress().accept(String.format(Locale.ROOT, "%s alone: divergence %.5f", group.group().modules().get(0),
          divergence.get(group.group().key())));
    }
    ranked.sort(Comparator.comparingDouble(group -> -divergence.get(group.group().key()) / group.parameters()));
    // Fewer int8 layers are taken to be better ones: the smallest number of float layers that suffices is found by halving.
    int low = 1;
    int high = ranked.size();
    Quality found = null;
    while (low < high) {
      int middle = (low + high) / 2;
      Quality quality = measure.apply(keys(ranked, middle));
      options.progress().accept(String.format(Locale.ROOT, "%d of %d groups float: agreement %.2f%%, perplexity %+.2f%%", middle,
          ranked.size(), 100 * quality.agreement(), 100 * quality.perplexityIncrease()));
      if (meets(quality)) {
        high = middle;
        found = quality;
      } else {
        low = middle + 1;
      }
    }
    ranked.subList(0, low).forEach(group -> kept.add(group.group().key()));
    outcome = describe(found == null ? measure.apply(keys(ranked, low)) : found,
        "met with " + low + " of " + ranked.size() + " groups float");
  }

  private static Set<LinearGroup.Key> keys(List<QuantizedGroup> groups, int from) {
    Set<LinearGroup.Key> keys = new HashSet<>();
    groups.subList(from, groups.size()).forEach(group -> keys.add(group.group().key()));
    return keys;
  }

  private boolean meets(Quality quality) {
    return quality.agreement() >= options.minAgreement() && quality.perplexityIncrease() <= options.maxPerplexityIncrease();
  }

  private String describe(Quality quality, String result) {
    return String.format(Locale.ROOT, "agreement of at least %.1f%% and a perplexity at most %.1f%% higher: %s; where it was chosen: %.2f%%"
        + " and %+.2f%%", 100 * options.minAgreement(), 100 * options.maxPerplexityIncrease(), result, 100 * quality.agreement(),
        100 * quality.perplexityIncrease());
  }

  Set<LinearGroup.Key> kept() {
    return kept;
  }

  /** Mean divergence when this group alone is int8; NaN where it was not measured. */
  double divergence(LinearGroup.Key group) {
    return divergence.getOrDefault(group, Double.NaN);
  }

  String outcome() {
    return outcome;
  }
}
