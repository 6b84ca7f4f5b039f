package dev.lanes.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lanes.needle.NeedleOutcome;
import dev.lanes.needle.NeedlePolicy;
import dev.lanes.needle.NeedleProbe;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/**
 * The outcomes of a needle test in a file of JSON lines: a first line that says which test it is, then one for each outcome, written at
 * once, so that whatever ends a run loses only the probes that were under way.
 */
final class NeedleProgress implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String TEST = "test";

  private final Path file;
  private final List<NeedleOutcome> known;
  private final BufferedWriter writer;

  private NeedleProgress(Path file, List<NeedleOutcome> known, BufferedWriter writer) {
    this.file = file;
    this.known = known;
    this.writer = writer;
  }

  /**
   * Opens the file in a folder, with what an earlier run of the same test left in it.
   *
   * @param test all that the outcomes follow from
   * @param restart whether earlier outcomes are thrown away
   * @throws ExitCode.UserError if the folder holds another test, or cannot be written
   */
  static NeedleProgress open(Path folder, String test, boolean restart) {
    Path file = folder.resolve("probes.jsonl");
    String first = JSON.createObjectNode().put(TEST, digest(test)).toString();
    try {
      Files.createDirectories(folder);
      List<NeedleOutcome> known = restart || !Files.exists(file) ? new ArrayList<>() : read(file, first);
      BufferedWriter writer = Files.newBufferedWriter(file, StandardCharsets.UTF_8, StandardOpenOption.CREATE,
          StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
      NeedleProgress progress = new NeedleProgress(file, known, writer);
      progress.line(first);
      for (NeedleOutcome outcome : known) {
        progress.line(json(outcome).toString());
      }
      return progress;
    } catch (IOException e) {
      throw new ExitCode.UserError("--out: cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  private static List<NeedleOutcome> read(Path file, String first) throws IOException {
    List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
    if (lines.isEmpty() || !lines.get(0).equals(first)) {
      throw new ExitCode.UserError("--out: " + file + " holds another test (another model, text or option); choose another folder, or "
          + "--restart to begin again");
    }
    List<NeedleOutcome> known = new ArrayList<>();
    for (String line : lines.subList(1, lines.size())) {
      try {
        known.add(outcome(JSON.readTree(line)));
      } catch (JsonProcessingException | IllegalArgumentException e) {
        // The line at which the earlier run was stopped; what follows it is asked again.
        break;
      }
    }
    return known;
  }

  Path file() {
    return file;
  }

  /** The outcomes so far. */
  List<NeedleOutcome> known() {
    return Collections.unmodifiableList(known);
  }

  void add(NeedleOutcome outcome) {
    try {
      line(json(outcome).toString());
    } catch (IOException e) {
      throw new ExitCode.UserError("--out: cannot write " + file + ": " + e.getMessage(), e);
    }
    known.add(outcome);
  }

  private void line(String text) throws IOException {
    writer.write(text);
    writer.newLine();
    writer.flush();
  }

  static ObjectNode json(NeedleOutcome outcome) {
    NeedleProbe probe = outcome.probe();
    return JSON.createObjectNode().put("policy", probe.policy().text()).put("length", probe.length()).put("depth", probe.depth())
        .put("trial", probe.trial()).put("verdict", outcome.verdict().name().toLowerCase(Locale.ROOT))
        .put("promptTokens", outcome.promptTokens()).put("needleBegin", outcome.needleBegin()).put("needleEnd", outcome.needleEnd())
        .put("droppedTokens", outcome.droppedTokens()).put("expected", outcome.expected()).put("output", outcome.output());
  }

  private static NeedleOutcome outcome(JsonNode json) {
    NeedleProbe probe = new NeedleProbe(NeedlePolicy.parse(json.path("policy").asText()), json.path("length").asInt(),
        json.path("depth").asInt(), json.path("trial").asInt());
    return new NeedleOutcome(probe, NeedleOutcome.Verdict.valueOf(json.path("verdict").asText().toUpperCase(Locale.ROOT)),
        json.path("promptTokens").asInt(), json.path("needleBegin").asInt(), json.path("needleEnd").asInt(),
        json.path("droppedTokens").asLong(), json.path("expected").asText(), json.path("output").asText());
  }

  private static String digest(String text) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw new ExitCode.UserError("--out: cannot write " + file + ": " + e.getMessage(), e);
    }
  }
}
