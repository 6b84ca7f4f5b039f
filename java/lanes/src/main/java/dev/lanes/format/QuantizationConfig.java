package dev.lanes.format;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * How the linear layers of a checkpoint are quantized: W8A8 in the layout of compressed-tensors, the {@code int-quantized} format. A
 * quantized module has the tensors {@code weight} (I8) and {@code weight_scale}, and where its inputs are quantized with a fixed scale
 * {@code input_scale}.
 *
 * @param groups modules and how they are quantized
 * @param ignore modules that stay as they are, whatever the groups say
 */
public record QuantizationConfig(List<Group> groups, List<ModulePattern> ignore) {
  public QuantizationConfig {
    groups = List.copyOf(groups);
    ignore = List.copyOf(ignore);
  }

  /** How far a scale of weights reaches. */
  public enum WeightScale {
    /** One for each output feature. */
    CHANNEL,
    /** One for all. */
    TENSOR
  }

  /** Where the scale of a layer's inputs comes from. */
  public enum InputScale {
    /** Each token's own largest magnitude. */
    TOKEN,
    /** The tensor {@code input_scale}. */
    STATIC
  }

  /** What is done to a module. */
  public record Scheme(WeightScale weights, InputScale inputs) {}

  /**
   * @param targets the modules that are quantized so
   */
  public record Group(List<ModulePattern> targets, Scheme scheme) {
    public Group {
      targets = List.copyOf(targets);
    }
  }

  private record Match(ModulePattern target, Scheme scheme, boolean byName) {}

  /**
   * How a module is quantized; empty where it is not. Where several targets fit, a name comes before a regular expression and that before
   * a class, as compressed-tensors has it.
   *
   * @param module its full name, such as {@code model.layers.0.mlp.down_proj}
   * @param moduleClass the name of its class, such as {@code Linear}
   * @throws dev.lanes.error.InvalidModelException if a regular expression takes too long
   */
  public Optional<Scheme> schemeOf(String module, String moduleClass) {
    for (ModulePattern pattern : ignore) {
      if (pattern.matchesClass(moduleClass) || pattern.matchesName(module)) {
        return Optional.empty();
      }
    }
    List<Match> matches = new ArrayList<>();
    for (Group group : groups) {
      for (ModulePattern target : group.targets) {
        boolean byName = target.matchesName(module);
        if (byName || target.matchesClass(moduleClass)) {
          matches.add(new Match(target, group.scheme, byName));
        }
      }
    }
    return matches.stream()
        .min(Comparator.comparing((Match match) -> !match.byName).thenComparing(match -> match.target.isRegex())
            .thenComparing(match -> match.target.toString()))
        .map(Match::scheme);
  }
}
