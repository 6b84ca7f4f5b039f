package dev.lanes.cli;

import static dev.lanes.cli.CommandLineFixture.lanes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lanes.cli.CommandLineFixture.Result;
import dev.lanes.format.SyntheticModel;
import dev.lanes.needle.NeedleGrid;
import dev.lanes.needle.NeedleOutcome;
import dev.lanes.needle.NeedleOutcome.Verdict;
import dev.lanes.needle.NeedlePolicy;
import dev.lanes.needle.NeedleProbe;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code lanes needle} with a small random model: what it writes, and how it goes on. Which needles are found is the library's test. */
@Timeout(120)
class NeedleCommandTest {
  private static final int CONTEXT = 600;
  /** The bytes, and a token that begins a text. */
  private static final int VOCABULARY = 257;

  @TempDir
  private static Path folder;

  @TempDir
  private Path out;

  private static String model;

  @BeforeAll
  static void writeModel() throws IOException {
    Path directory = folder.resolve("model");
    new SyntheticModel(2, 64, 4, 2, 96, VOCABULARY, CONTEXT, true).write(directory);
    Files.writeString(directory.resolve("tokenizer.json"), byteTokenizer(), StandardCharsets.UTF_8);
    model = directory.toString();
  }

  private static String byteTokenizer() {
    StringBuilder vocabulary = new StringBuilder();
    int extra = 0;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      vocabulary.append(b == 0 ? "" : ",").append("\"\\u%04x\": %d".formatted(printable ? b : 256 + extra++, b));
    }
    String bytes = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}";
    return """
        {"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "added_tokens": [
          {"id": 256, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
         "pre_tokenizer": %1$s, "decoder": %1$s, "post_processor": null,
         "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
           "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {%2$s, "<s>": 256}, "merges": []}}
        """.formatted(bytes, vocabulary);
  }

  private Result needle(String... more) {
    String[] start = {"needle", "--model", model, "--out", out.toString(), "--lengths", "200,400", "--depths", "0,100", "--trials", "1",
        "--policies", "reject", "sliding:64", "reject@300"};
    return lanes(Stream.concat(Arrays.stream(start), Arrays.stream(more)).toArray(String[]::new));
  }

  private List<String> probes() throws IOException {
    return Files.readAllLines(out.resolve("probes.jsonl"));
  }

  @Test
  void tablesJsonAndPictureAreWritten() throws IOException {
    Result result = needle();
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.err()).contains("12 of 12 probes");
    assertThat(result.out()).isEqualTo("""
        reject: 0% found
          depth \\ tokens     200     400
                      0%       0       0
                    100%       0       0
        sliding:64: 0% found
          depth \\ tokens     200     400
                      0%       0       0
                    100%       0       0
        reject@300: 0% found
          depth \\ tokens     200     400
                      0%       0       -
                    100%       0       -
        """);
    JsonNode json = new ObjectMapper().readTree(out.resolve("needle.json").toFile());
    assertThat(json.get("chatTemplate").asBoolean()).isFalse();
    assertThat(json.get("answerTokens").asInt()).isEqualTo(12);
    assertThat(json.at("/policies/1/policy").asText()).isEqualTo("sliding:64");
    assertThat(json.at("/policies/1/scores").toString()).isEqualTo("[[0.0,0.0],[0.0,0.0]]");
    assertThat(json.at("/policies/2/scores").toString()).isEqualTo("[[0.0,null],[0.0,null]]");
    assertThat(json.at("/policies/2/asked").toString()).isEqualTo("[[1,0],[1,0]]");
    assertThat(json.get("probes")).hasSize(12);
    for (JsonNode probe : json.get("probes")) {
      assertThat(probe.get("promptTokens").asInt()).isBetween(probe.get("length").asInt() - 12 - 200, probe.get("length").asInt() - 12);
      assertThat(probe.get("expected").asText()).matches("[0-9]{4}");
    }
    assertThat(ImageIO.read(out.resolve("needle.png").toFile()).getWidth()).isGreaterThan(300);
    assertThat(probes()).hasSize(13);
  }

  @Test
  void interruptedRunGoesOn() throws IOException {
    assertThat(needle("--quiet").exitCode()).isZero();
    List<String> all = probes();
    // As a killed process leaves it: some lines, the last of them cut.
    String cut = String.join("\n", all.subList(0, 8)) + "\n" + all.get(8).substring(0, 20);
    Files.writeString(out.resolve("probes.jsonl"), cut);
    Result resumed = needle();
    assertThat(resumed.exitCode()).as(resumed.err()).isZero();
    assertThat(resumed.err()).contains("7 of 12 probes are in", "12 of 12 probes");
    assertThat(probes()).isEqualTo(all);
    assertThat(needle().err()).contains("12 of 12 probes are in");
  }

  @Test
  void anotherTestInTheSameFolderIsRefused() throws IOException {
    assertThat(needle("--quiet").exitCode()).isZero();
    List<String> all = probes();
    Result other = needle("--seed", "1");
    assertThat(other.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(other.err()).contains("probes.jsonl", "another test", "--restart");
    assertThat(probes()).isEqualTo(all);
    assertThat(needle("--seed", "1", "--restart", "--quiet").exitCode()).isZero();
    assertThat(probes()).hasSameSizeAs(all).isNotEqualTo(all);
  }

  @Test
  void textsOfTheUsersOwn() throws IOException {
    Path haystack = Files.writeString(folder.resolve("haystack.txt"), "Der Wind weht. ".repeat(40));
    Path needle = Files.writeString(folder.resolve("needle.json"), """
        {"needle": "Die Zahl von {key} ist {value}.", "completion": "Die Zahl von {key} ist", "question": "Welche Zahl hat {key}?",
         "keys": ["Anna", "Bert"]}
        """);
    Result result = needle("--haystack", haystack.toString(), "--needle", needle.toString(), "--distractors", "1", "--json", "--quiet");
    assertThat(result.exitCode()).as(result.err()).isZero();
    assertThat(result.json().get("distractors").asInt()).isEqualTo(1);
    assertThat(result.err()).isEmpty();
    Files.writeString(needle, "{\"needle\": \"{key} {value}\", \"completion\": \"{key}\", \"keys\": [\"Anna\"]}");
    Result incomplete = needle("--needle", needle.toString());
    assertThat(incomplete.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(incomplete.err()).contains("needle.json", "question is missing");
    Files.writeString(needle, "{\"needle\": ");
    assertThat(needle("--needle", needle.toString()).err()).contains("is not JSON");
  }

  @Test
  void defaultsFollowTheContext() {
    JsonNode json = lanes("needle", "--model", model, "--out", out.toString(), "--language", "zh", "--depths", "50", "--trials", "1", "--json",
        "--quiet").json();
    assertThat(json.get("lengths").toString()).isEqualTo("[150,300,600]");
    assertThat(json.get("policies").findValuesAsText("policy"))
        .containsExactly("reject", "sliding:150", "sinks:4,146", "truncate-oldest@300", "truncate-middle@300");
  }

  @ParameterizedTest
  @ValueSource(strings = {"--lengths 20", "--lengths 0", "--lengths 200,200", "--lengths many", "--depths 101", "--policies sideways",
      "--policies reject reject", "--policies sliding:9999", "--trials 0", "--language fr", "--haystack missing.txt", "--needle missing.json",
      "--distractors 12", "--answer-tokens 0"})
  void wrongOptionsAreRefused(String options) {
    String[] line = Stream.concat(Stream.of("needle", "--model", model, "--out", out.toString()), Arrays.stream(options.split(" ")))
        .toArray(String[]::new);
    Result result = lanes(line);
    assertThat(result.exitCode()).as(result.err()).isEqualTo(ExitCode.USAGE);
    assertThat(result.out()).isEmpty();
  }

  @Test
  void folderThatCannotBeMadeIsNamed() throws IOException {
    Path file = Files.writeString(out.resolve("file"), "");
    Result result = lanes("needle", "--model", model, "--out", file.resolve("below").toString());
    assertThat(result.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(result.err()).contains("--out", "below");
    assertThat(lanes("needle", "--model", model).exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(lanes("needle", "--model", "nowhere", "--out", out.toString()).exitCode()).isEqualTo(ExitCode.BAD_MODEL);
  }

  @Test
  void coloursTellTheScores() throws IOException {
    NeedlePolicy policy = NeedlePolicy.parse("sliding:64");
    List<Integer> lengths = List.of(100, 200, 300);
    List<NeedleOutcome> outcomes = List.of(outcome(policy, 100, 0, Verdict.FOUND), outcome(policy, 200, 0, Verdict.FOUND),
        outcome(policy, 200, 1, Verdict.LOST), outcome(policy, 300, 0, Verdict.LOST));
    NeedleGrid grid = NeedleGrid.of(policy, lengths, List.of(50), outcomes);
    NeedleGrid refused = NeedleGrid.of(policy, lengths, List.of(50), List.of());
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(new HeatMap(List.of(grid, refused)).png()));
    // The cell at the left edge of its panel, in from the border, above the number.
    int row = 16 + 36 + 3;
    List<Integer> colours = IntStream.range(0, 3).mapToObj(i -> image.getRGB(16 + 72 + 64 * i + 3, row) & 0xFFFFFF).toList();
    assertThat(colours).containsExactly(HeatMap.colour(OptionalDouble.of(1)), HeatMap.colour(OptionalDouble.of(0.5)),
        HeatMap.colour(OptionalDouble.of(0)));
    int panel = (image.getWidth() - 16) / 2;
    assertThat(image.getRGB(16 + panel + 72 + 3, row) & 0xFFFFFF).isEqualTo(HeatMap.colour(OptionalDouble.empty()));
  }

  private static NeedleOutcome outcome(NeedlePolicy policy, int length, int trial, Verdict verdict) {
    return new NeedleOutcome(new NeedleProbe(policy, length, 50, trial), verdict, 90, 1, 2, 0, "1", "");
  }

  @Test
  void pictureIsCutAtItsEdges() throws IOException {
    Picture picture = new Picture(5, 4, 0x112233);
    picture.fill(-3, -3, 5, 5, 0xFF0000);
    picture.fill(4, 3, 9, 9, 0x00FF00);
    picture.fill(9, 9, 2, 2, 0x0000FF);
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(picture.png()));
    String rows = IntStream.range(0, 4).mapToObj(y -> IntStream.range(0, 5).mapToObj(x -> switch (image.getRGB(x, y) & 0xFFFFFF) {
      case 0xFF0000 -> "r";
      case 0x00FF00 -> "g";
      case 0x112233 -> ".";
      default -> "?";
    }).collect(Collectors.joining())).collect(Collectors.joining("\n"));
    assertThat(rows).isEqualTo("rr...\nrr...\n.....\n....g");
  }

  @Test
  void everyCharacterOfALabelHasAShapeOfItsOwn() {
    String characters = "0123456789abcdefghijklmnopqrstuvwxyz:,.-%@/?";
    assertThat(characters.chars().mapToObj(c -> {
      Picture picture = new Picture(6, 7, 0);
      PixelFont.draw(picture, Character.toString(c), 0, 0, 1, 0xFFFFFF);
      return Arrays.toString(picture.png());
    }).distinct()).hasSize(characters.length());
    assertThatThrownBy(() -> new Picture(1 << 20, 1 << 20, 0)).isInstanceOf(ArithmeticException.class);
  }
}
