package dev.lanes.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import dev.lanes.needle.NeedleGrid;
import dev.lanes.needle.NeedleOutcome;
import dev.lanes.needle.NeedleSpec;
import dev.lanes.needle.NeedleTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/** The results of a needle test: tables, JSON, and a picture. */
final class NeedleReport {
  private final String model;
  private final NeedleTest test;
  private final NeedleSpec spec;
  private final List<NeedleOutcome> outcomes;
  private final List<NeedleGrid> grids;

  NeedleReport(String model, NeedleTest test, NeedleSpec spec, List<NeedleOutcome> outcomes) {
    this.model = model;
    this.test = test;
    this.spec = spec;
    this.outcomes = outcomes;
    grids = spec.policies().stream().map(policy -> NeedleGrid.of(policy, spec.lengths(), spec.depths(), outcomes)).toList();
  }

  /** Writes needle.json and needle.png. */
  void write(Path folder) {
    Path file = folder.resolve("needle.json");
    try {
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), json());
      file = folder.resolve("needle.png");
      Files.write(file, new HeatMap(grids).png());
    } catch (IOException e) {
      throw new ExitCode.UserError("--out: cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("model", model);
    json.put("chatTemplate", test.usesChatTemplate());
    json.put("answerTokens", test.answerTokens());
    json.put("trials", spec.trials());
    json.put("distractors", spec.distractors());
    json.put("seed", spec.seed());
    json.put("lengths", spec.lengths());
    json.put("depths", spec.depths());
    json.put("policies", grids.stream().map(NeedleReport::json).toList());
    json.put("probes", outcomes.stream().map(NeedleProgress::json).toList());
    return json;
  }

  private static Map<String, Object> json(NeedleGrid grid) {
    List<List<Double>> scores = new ArrayList<>();
    for (int row = 0; row < grid.depths().size(); row++) {
      List<Double> line = new ArrayList<>();
      for (int column = 0; column < grid.lengths().size(); column++) {
        line.add(orNull(grid.score(row, column)));
      }
      scores.add(line);
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("policy", grid.policy().text());
    json.put("score", orNull(grid.score()));
    json.put("scores", scores);
    json.put("found", grid.found());
    json.put("asked", grid.asked());
    return json;
  }

  private static Double orNull(OptionalDouble score) {
    return score.isPresent() ? score.getAsDouble() : null;
  }

  /** A table for each policy: depths down, lengths across, percent found; a dash where the policy refused the prompt. */
  void print(Console console) {
    for (NeedleGrid grid : grids) {
      console.line("%s: %s found", grid.policy().text(), percent(grid.score()) + (grid.score().isPresent() ? "%" : ""));
      StringBuilder head = new StringBuilder("  depth \\ tokens");
      grid.lengths().forEach(length -> head.append(String.format(Locale.ROOT, "%8d", length)));
      console.line("%s", head);
      for (int row = 0; row < grid.depths().size(); row++) {
        StringBuilder line = new StringBuilder(String.format(Locale.ROOT, "%15d%%", grid.depths().get(row)));
        for (int column = 0; column < grid.lengths().size(); column++) {
          line.append(String.format(Locale.ROOT, "%8s", percent(grid.score(row, column))));
        }
        console.line("%s", line);
      }
    }
  }

  static String percent(OptionalDouble score) {
    return score.isEmpty() ? "-" : Long.toString(Math.round(100 * score.getAsDouble()));
  }
}
