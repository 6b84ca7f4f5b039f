package dev.lanes.needle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.LanguageModel;
import dev.lanes.Lanes;
import dev.lanes.LoadOptions;
import dev.lanes.TestSeed;
import dev.lanes.TinyCheckpoint;
import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.needle.NeedleOutcome.Verdict;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The needle test with a model that reads perfectly, so that every lost needle is the policy's doing; then with a real one. */
@Timeout(60)
class NeedleTestTest {
  private static final int LIMIT = 1000;
  private static final int ANSWER = 12;

  @TempDir
  Path directory;

  private static NeedleSpec.Builder spec(String... policies) {
    return NeedleSpec.builder().lengths(List.of(150, 400, 900)).depths(List.of(0, 10, 30, 50, 70, 90, 100)).trials(2)
        .policies(Stream.of(policies).map(NeedlePolicy::parse).toList());
  }

  private List<NeedleOutcome> run(NeedleSpec.Builder spec) {
    return new NeedleTest(new PerfectReader(directory, LIMIT, false), spec.build()).run();
  }

  private static void assertFoundExactlyWhere(List<NeedleOutcome> outcomes, Predicate<NeedleOutcome> visible) {
    for (NeedleOutcome outcome : outcomes) {
      assertThat(outcome.verdict()).as(outcome::toString).isEqualTo(visible.test(outcome) ? Verdict.FOUND : Verdict.LOST);
    }
    assertThat(outcomes).extracting(NeedleOutcome::verdict).as("both must happen, or the test shows nothing")
        .contains(Verdict.FOUND, Verdict.LOST);
  }

  @Test
  void fullAttentionFindsEveryNeedle() {
    assertThat(run(spec("reject"))).hasSize(3 * 7 * 2).allMatch(outcome -> outcome.verdict() == Verdict.FOUND)
        .allMatch(outcome -> outcome.droppedTokens() == 0);
  }

  @Test
  void slidingWindowLosesWhatHasLeftIt() {
    assertFoundExactlyWhere(run(spec("sliding:200")), outcome -> outcome.needleBegin() >= outcome.promptTokens() - 200);
  }

  @Test
  void sinksKeepWhatStandsInThem() {
    assertFoundExactlyWhere(run(spec("sinks:30,200")),
        outcome -> outcome.needleEnd() <= 30 || outcome.needleBegin() >= outcome.promptTokens() - 200 || outcome.promptTokens() <= 230);
  }

  @Test
  void truncationLosesWhatItCuts() {
    int kept = 300 - ANSWER;
    assertFoundExactlyWhere(run(spec("truncate-oldest@300")), outcome -> outcome.needleBegin() >= outcome.promptTokens() - kept);
    assertFoundExactlyWhere(run(spec("truncate-middle@300")), outcome -> outcome.needleEnd() <= kept / 2
        || outcome.needleBegin() >= outcome.promptTokens() - kept + kept / 2 || outcome.promptTokens() <= kept);
    // The newest tokens are the question.
    assertFoundExactlyWhere(run(spec("truncate-newest@300")), outcome -> outcome.promptTokens() <= kept);
  }

  @Test
  void refusedPromptsCountAsNeither() {
    List<NeedleOutcome> outcomes = run(spec("reject@300"));
    for (NeedleOutcome outcome : outcomes) {
      assertThat(outcome.verdict()).isEqualTo(outcome.promptTokens() > 300 ? Verdict.REFUSED : Verdict.FOUND);
    }
    NeedleGrid grid = NeedleGrid.of(NeedlePolicy.parse("reject@300"), List.of(150, 900), List.of(50), outcomes);
    assertThat(grid.score(0, 0)).hasValue(1);
    assertThat(grid.score(0, 1)).isEmpty();
    assertThat(grid.score()).hasValue(1);
  }

  @Test
  void promptsFillTheirLengthToASentence() {
    for (NeedleOutcome outcome : run(spec("reject").distractors(3))) {
      int room = outcome.probe().length() - ANSWER;
      assertThat(outcome.promptTokens()).isBetween(room - 80, room);
      assertThat(outcome.needleEnd()).isGreaterThan(outcome.needleBegin());
      double depth = (double) outcome.needleBegin() / outcome.promptTokens();
      if (outcome.probe().length() == 900) {
        assertThat(depth).as(outcome.toString()).isBetween(outcome.probe().depth() / 100.0 - 0.15, outcome.probe().depth() / 100.0 + 0.15);
      }
    }
  }

  @Test
  void policiesShareTheirPromptsAndTrialsDoNot() {
    PerfectReader model = new PerfectReader(directory, LIMIT, false);
    NeedleSpec.Builder spec = spec("reject", "sliding:200", "truncate-oldest@300").lengths(List.of(400)).depths(List.of(50));
    new NeedleTest(model, spec.build()).run();
    assertThat(model.prompts).hasSize(6);
    assertThat(model.prompts.get(0)).isEqualTo(model.prompts.get(1)).isEqualTo(model.prompts.get(2)).isNotEqualTo(model.prompts.get(3));
    PerfectReader again = new PerfectReader(directory, LIMIT, false);
    new NeedleTest(again, spec.build()).run();
    assertThat(again.prompts.get(3)).isEqualTo(model.prompts.get(3));
    PerfectReader otherSeed = new PerfectReader(directory, LIMIT, false);
    new NeedleTest(otherSeed, spec.seed(1).build()).run();
    assertThat(otherSeed.prompts.get(3)).isNotEqualTo(model.prompts.get(3));
  }

  @Test
  void distractorsHaveOtherKeysAndNumbers() {
    PerfectReader model = new PerfectReader(directory, LIMIT, false);
    List<NeedleOutcome> outcomes = new NeedleTest(model, spec("reject").lengths(List.of(600)).distractors(5).trials(1).build()).run();
    for (int i = 0; i < outcomes.size(); i++) {
      String text = model.tokenizer().orElseThrow().decode(model.prompts.get(i), false);
      List<String> needles = Arrays.stream(text.split("(?=The secret number)")).filter(part -> part.matches("(?s)The secret number.* is [0-9]{4}\\..*"))
          .map(part -> part.substring(0, part.indexOf('.'))).toList();
      Set<String> keys = new HashSet<>();
      Set<String> numbers = new HashSet<>();
      needles.forEach(needle -> keys.add(needle.split(" is ")[0]));
      needles.forEach(needle -> numbers.add(needle.split(" is ")[1]));
      assertThat(needles).hasSize(6);
      assertThat(keys).hasSize(6);
      assertThat(numbers).hasSize(6).contains(outcomes.get(i).expected());
      assertThat(outcomes.get(i).verdict()).isEqualTo(Verdict.FOUND);
    }
  }

  @Test
  void chatTemplateIsUsedWhereThereIsOne() {
    PerfectReader model = new PerfectReader(directory, LIMIT, true);
    NeedleSpec.Builder spec = spec("reject").lengths(List.of(400));
    NeedleTest chat = new NeedleTest(model, spec.build());
    assertThat(chat.usesChatTemplate()).isTrue();
    assertThat(chat.run()).allMatch(outcome -> outcome.verdict() == Verdict.FOUND);
    assertThat(model.tokenizer().orElseThrow().decode(model.prompts.get(0), false)).startsWith("<user>").endsWith("Answer with the number.<assistant>");
    NeedleTest completion = new NeedleTest(model, spec.chatTemplate(false).build());
    assertThat(completion.usesChatTemplate()).isFalse();
    assertThat(completion.answerTokens()).isLessThan(chat.answerTokens());
    completion.run();
    assertThat(model.tokenizer().orElseThrow().decode(model.prompts.get(model.prompts.size() - 1), false)).endsWith(" is");
  }

  @Test
  void knownOutcomesAreNotAskedAgain() {
    NeedleSpec spec = spec("reject", "sliding:200").build();
    List<NeedleOutcome> all = new NeedleTest(new PerfectReader(directory, LIMIT, false), spec).run();
    PerfectReader model = new PerfectReader(directory, LIMIT, false);
    List<NeedleOutcome> heard = new ArrayList<>();
    List<NeedleOutcome> resumed = new NeedleTest(model, spec).run(all.subList(0, 41), heard::add);
    assertThat(resumed).isEqualTo(all);
    assertThat(heard).isEqualTo(all.subList(41, all.size()));
    assertThat(model.prompts).hasSize(all.size() - 41);
  }

  @Test
  void failureKeepsWhatWasDoneAndCancelsTheRest() {
    List<CompletableFuture<Generation>> started = new ArrayList<>();
    PerfectReader model = new PerfectReader(directory, LIMIT, false) {
      @Override
      public CompletableFuture<Generation> submit(int[] promptIds, GenerationOptions options) {
        CompletableFuture<Generation> future = started.size() < 20 ? super.submit(promptIds, options)
            : started.size() == 20 ? CompletableFuture.failedFuture(new IllegalStateException("broken")) : new CompletableFuture<>();
        started.add(future);
        return future;
      }
    };
    List<NeedleOutcome> heard = new ArrayList<>();
    assertThatThrownBy(() -> new NeedleTest(model, spec("reject").build()).run(List.of(), heard::add))
        .isInstanceOf(IllegalStateException.class).hasMessage("broken");
    assertThat(heard).hasSize(20);
    assertThat(started.subList(21, started.size())).isNotEmpty().allMatch(CompletableFuture::isCancelled);
  }

  @Test
  void lengthTooShortForItsQuestionIsRefused() {
    assertThatIllegalArgumentException().isThrownBy(() -> run(spec("reject").lengths(List.of(30))))
        .withMessageContaining("length 30 is too short").withMessageContaining("the answer 12");
  }

  @ParameterizedTest
  @CsvSource({"' 4821.', true", "'4821', true", "4821 and more, true", "48213, false", "482, false", "'It is 4821', false", "'', false"})
  void completionMustBeginWithTheNumber(String output, boolean expected) {
    assertThat(Answers.begins(output, "4821")).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({"It is 4821., true", "号码是4821。, true", "4821, true", "14821, false", "48210 or 4821, true", "48210, false", "4 821, false"})
  void answerMustHoldTheNumber(String output, boolean expected) {
    assertThat(Answers.holds(output, "4821")).isEqualTo(expected);
  }

  @Test
  void gridCountsExactly() {
    NeedlePolicy full = NeedlePolicy.parse("reject");
    List<NeedleOutcome> outcomes = List.of(outcome(full, 100, 0, 0, Verdict.FOUND), outcome(full, 100, 0, 1, Verdict.LOST),
        outcome(full, 100, 50, 0, Verdict.FOUND), outcome(full, 200, 0, 0, Verdict.REFUSED), outcome(full, 200, 0, 1, Verdict.LOST),
        outcome(full, 300, 0, 0, Verdict.FOUND), outcome(NeedlePolicy.parse("sliding:9"), 100, 50, 0, Verdict.LOST));
    NeedleGrid grid = NeedleGrid.of(full, List.of(100, 200), List.of(0, 50), outcomes);
    assertThat(grid.found()).isEqualTo(new int[][] {{1, 0}, {1, 0}});
    assertThat(grid.asked()).isEqualTo(new int[][] {{2, 1}, {1, 0}});
    assertThat(grid.score(0, 0)).hasValue(0.5);
    assertThat(grid.score(0, 1)).hasValue(0);
    assertThat(grid.score(1, 1)).isEqualTo(OptionalDouble.empty());
    assertThat(grid.score()).hasValue(0.5);
  }

  private static NeedleOutcome outcome(NeedlePolicy policy, int length, int depth, int trial, Verdict verdict) {
    return new NeedleOutcome(new NeedleProbe(policy, length, depth, trial), verdict, 90, 1, 2, 0, "1", "");
  }

  @ParameterizedTest
  @ValueSource(strings = {"reject", "reject@512", "sliding:128", "sinks:4,124", "sinks:4,124@256", "truncate-oldest:4@100"})
  void policiesReadWhatTheyWrite(String text) {
    assertThat(NeedlePolicy.parse(text).text()).isEqualTo(text);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "sideways", "reject@", "reject@many", "reject@0", "reject@-1", "reject@1@2", "@5"})
  void wrongPoliciesAreRefused(String text) {
    assertThatIllegalArgumentException().isThrownBy(() -> NeedlePolicy.parse(text));
  }

  @Test
  void textsAndSpecsThatCannotBeAreRefused() {
    NeedleText text = NeedleText.english();
    assertThatIllegalArgumentException().isThrownBy(() -> text.in(" ")).withMessageContaining("haystack is empty");
    assertThatIllegalArgumentException().isThrownBy(() -> new NeedleText("a", "{key}", "{key}", "{key}", List.of("k")))
        .withMessageContaining("{value}");
    assertThatIllegalArgumentException().isThrownBy(() -> new NeedleText("a", "{key}{value}", "{key}", "no", List.of("k")))
        .withMessageContaining("question");
    assertThatIllegalArgumentException().isThrownBy(() -> new NeedleText("a", "{key}{value}", "{key}", "{key}", List.of("k", "k")))
        .withMessageContaining("keys");
    assertThatIllegalArgumentException().isThrownBy(() -> spec("reject", "reject").build()).withMessageContaining("policies");
    assertThatIllegalArgumentException().isThrownBy(() -> spec("reject").depths(List.of(101)).build()).withMessageContaining("depth is 101");
    assertThatIllegalArgumentException().isThrownBy(() -> spec("reject").lengths(List.of()).build()).withMessageContaining("lengths");
    assertThatIllegalArgumentException().isThrownBy(() -> spec("reject").trials(0).build()).withMessageContaining("trials");
    assertThatIllegalArgumentException().isThrownBy(() -> spec("reject").distractors(12).build()).withMessageContaining("distractors");
    assertThatIllegalArgumentException().isThrownBy(() -> spec("reject").answerTokens(0).build()).withMessageContaining("answerTokens");
  }

  @Test
  void chineseIsCutIntoSentences() {
    List<String> sentences = Prompts.sentencesOf(NeedleText.chinese().haystack());
    assertThat(sentences).hasSizeGreaterThan(50).allMatch(sentence -> sentence.strip().matches("(?s).*[。？！]"));
    assertThat(String.join("", sentences).strip()).isEqualTo(NeedleText.chinese().haystack().strip());
    assertThat(Prompts.sentencesOf("no end")).containsExactly("no end\n");
  }

  @Test
  void realModelIsAskedInBatchesInBothLanguages() {
    TinyCheckpoint.llama(directory, TestSeed.value());
    TinyCheckpoint.addByteTokenizer(directory);
    try (LanguageModel model = Lanes.load(directory, LoadOptions.builder().threads(2).build())) {
      for (NeedleText text : List.of(NeedleText.english(), NeedleText.chinese())) {
        NeedleSpec spec = NeedleSpec.builder().text(text).lengths(List.of(300, 500, 700)).depths(List.of(0, 100)).answerTokens(4)
            .policies(Stream.of("reject", "sliding:64", "sinks:4,60", "truncate-middle@256").map(NeedlePolicy::parse).toList()).build();
        List<NeedleOutcome> outcomes = new NeedleTest(model, spec).run();
        assertThat(outcomes).as(TestSeed.note()).hasSize(24).allMatch(outcome -> outcome.verdict()
            == (outcome.promptTokens() > TinyCheckpoint.POSITIONS && outcome.probe().policy().text().equals("reject") ? Verdict.REFUSED
                : Verdict.LOST));
        assertThat(outcomes).extracting(NeedleOutcome::verdict).contains(Verdict.REFUSED);
      }
    }
  }

  @Test
  void modelsThatCannotBeAskedAreRefused(@TempDir Path bare, @TempDir Path encoder) {
    TinyCheckpoint.llama(bare, 1);
    TinyCheckpoint.bert(encoder, 1);
    for (Path path : List.of(bare, encoder)) {
      try (LanguageModel model = Lanes.load(path)) {
        assertThatThrownBy(() -> new NeedleTest(model, spec("reject").build())).isInstanceOf(UnsupportedRequestException.class);
      }
    }
  }
}
