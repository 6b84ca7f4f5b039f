package dev.lanes.context;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.lanes.error.ContextOverflowException;
import dev.lanes.error.UnsupportedRequestException;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ContextPlanTest {
  private static final ContextLimits ROTARY = new ContextLimits(100, 400, true);
  private static final ContextLimits LEARNED = new ContextLimits(100, 400, false);

  @ParameterizedTest
  @ValueSource(ints = {1, 99, 100})
  void rejectAdmitsUpToTheLimit(int tokens) {
    ContextPlan plan = ContextPlan.of(ContextPolicy.reject(), ROTARY, tokens, 50);
    assertThat(plan.keptTokens()).isEqualTo(tokens);
    assertThat(plan.capacity()).isEqualTo(100);
    assertThat(plan.report(100).dropped()).isEmpty();
  }

  @Test
  void rejectNamesPromptLimitAndExcess() {
    ContextOverflowException e = catchThrowableOfType(ContextOverflowException.class,
        () -> ContextPlan.of(ContextPolicy.reject(), ROTARY, 107, 1));
    assertThat(e.promptTokens()).isEqualTo(107);
    assertThat(e.limit()).isEqualTo(100);
    assertThat(e.excess()).isEqualTo(7);
    assertThat(e).hasMessageContaining("107").hasMessageContaining("100").hasMessageContaining("7 more");
  }

  @ParameterizedTest
  @CsvSource({
      // prompt, maxTokens, kept: room is left for min(maxTokens, limit / 2) tokens, at least for one
      "50, 50, 50", "51, 50, 50", "99, 50, 50", "100, 50, 50", "101, 50, 50", "1000, 50, 50", "60, 1000000, 50", "99, 1, 99", "100, 1, 99",
      "101, 1, 99", "90, 10, 90", "91, 10, 90", "100, 0, 100", "101, 0, 100"})
  void truncateLeavesRoomForTheOutput(int prompt, int maxTokens, int kept) {
    for (ContextPolicy policy : List.of(ContextPolicy.truncateOldest(3), ContextPolicy.truncateNewest(), ContextPolicy.truncateMiddle())) {
      ContextPlan plan = ContextPlan.of(policy, ROTARY, prompt, maxTokens);
      assertThat(plan.keptTokens()).as(policy.text()).isEqualTo(kept);
      assertThat(plan.keep(IntStream.range(0, prompt).toArray())).hasSize(kept);
      assertThat(plan.report(0).droppedTokens()).isEqualTo(prompt - kept);
    }
  }

  @Test
  void oldestKeepsTheFirst() {
    ContextPlan plan = ContextPlan.of(ContextPolicy.truncateOldest(3), ROTARY, 110, 20);
    assertThat(plan.keep(IntStream.range(0, 110).toArray()))
        .isEqualTo(IntStream.concat(IntStream.range(0, 3), IntStream.range(33, 110)).toArray());
    assertThat(plan.report(0).dropped()).containsExactly(new TokenRange(3, 33));
  }

  @Test
  void newestDropsTheEnd() {
    ContextPlan plan = ContextPlan.of(ContextPolicy.truncateNewest(), ROTARY, 110, 20);
    assertThat(plan.keep(IntStream.range(0, 110).toArray())).isEqualTo(IntStream.range(0, 80).toArray());
    assertThat(plan.report(0).dropped()).containsExactly(new TokenRange(80, 110));
  }

  @Test
  void middleKeepsBothEnds() {
    ContextPlan plan = ContextPlan.of(ContextPolicy.truncateMiddle(), ROTARY, 110, 20);
    assertThat(plan.keep(IntStream.range(0, 110).toArray()))
        .isEqualTo(IntStream.concat(IntStream.range(0, 40), IntStream.range(70, 110)).toArray());
    assertThat(plan.report(0).dropped()).containsExactly(new TokenRange(40, 70));
  }

  @Test
  void oldestMustLeaveTheNewestToken() {
    assertThat(ContextPlan.of(ContextPolicy.truncateOldest(79), ROTARY, 110, 20).keptTokens()).isEqualTo(80);
    assertThatIllegalArgumentException().isThrownBy(() -> ContextPlan.of(ContextPolicy.truncateOldest(80), ROTARY, 110, 20))
        .withMessageContaining("keepFirst is 80").withMessageContaining("less than 80");
    // A prompt that fits is not cut, so nothing is wrong with it.
    assertThat(ContextPlan.of(ContextPolicy.truncateOldest(80), ROTARY, 80, 20).keptTokens()).isEqualTo(80);
  }

  @Test
  void contextOfOneTokenKeepsOne() {
    ContextLimits one = new ContextLimits(1, 400, true);
    for (ContextPolicy policy : List.of(ContextPolicy.truncateOldest(0), ContextPolicy.truncateNewest(), ContextPolicy.truncateMiddle())) {
      assertThat(ContextPlan.of(policy, one, 5, 10).keptTokens()).as(policy.text()).isEqualTo(1);
    }
  }

  @Test
  void windowsGoOnForeverWherePositionsAreRotary() {
    ContextPlan plan = ContextPlan.of(ContextPolicy.slidingWindow(100), ROTARY, 5_000, 10);
    assertThat(plan.keptTokens()).isEqualTo(5_000);
    assertThat(plan.capacity()).isGreaterThan(1 << 30);
    assertThat(ContextPlan.of(ContextPolicy.slidingWindow(100), LEARNED, 400, 10).capacity()).isEqualTo(400);
    assertThatThrownBy(() -> ContextPlan.of(ContextPolicy.slidingWindow(100), LEARNED, 401, 10))
        .isInstanceOf(ContextOverflowException.class).hasMessageContaining("401").hasMessageContaining("400");
  }

  @Test
  void whatIsSeenAtOnceMustFitTheLimit() {
    assertThatIllegalArgumentException().isThrownBy(() -> ContextPlan.of(ContextPolicy.slidingWindow(101), ROTARY, 5, 10))
        .withMessageContaining("sliding:101").withMessageContaining("100");
    assertThat(ContextPlan.of(ContextPolicy.attentionSinks(4, 96), ROTARY, 5, 10).sinks()).isEqualTo(4);
    assertThatIllegalArgumentException().isThrownBy(() -> ContextPlan.of(ContextPolicy.attentionSinks(4, 97), ROTARY, 5, 10))
        .withMessageContaining("sinks:4,97").withMessageContaining("101");
  }

  @Test
  void sinksNeedRotaryPositions() {
    assertThatThrownBy(() -> ContextPlan.of(ContextPolicy.attentionSinks(4, 60), LEARNED, 5, 10))
        .isInstanceOf(UnsupportedRequestException.class).hasMessageContaining("sinks:4,60");
  }

  @Test
  void windowsReportWhatLeftThem() {
    ContextPlan sliding = ContextPlan.of(ContextPolicy.slidingWindow(10), ROTARY, 5, 100);
    assertThat(sliding.report(9).dropped()).isEmpty();
    assertThat(sliding.report(10).dropped()).isEmpty();
    assertThat(sliding.report(11).dropped()).containsExactly(new TokenRange(0, 1));
    assertThat(sliding.report(50).droppedTokens()).isEqualTo(40);
    ContextPlan sinks = ContextPlan.of(ContextPolicy.attentionSinks(4, 10), ROTARY, 5, 100);
    assertThat(sinks.report(14).dropped()).isEmpty();
    assertThat(sinks.report(15).dropped()).containsExactly(new TokenRange(4, 5));
    assertThat(sinks.report(50).droppedTokens()).isEqualTo(36);
  }

  @Test
  void sinkPositionsStopAtTheEndOfTheCache() {
    ContextPlan plan = ContextPlan.of(ContextPolicy.attentionSinks(4, 10), ROTARY, 5, 100);
    assertThat(plan.sinkPosition(0)).isZero();
    assertThat(plan.sinkPosition(13)).isEqualTo(13);
    assertThat(plan.sinkPosition(14)).isEqualTo(13);
    assertThat(plan.sinkPosition(1_000_000)).isEqualTo(13);
  }

  @Test
  void firstVisibleIsThatOfTheNarrowerWindow() {
    ContextPlan full = ContextPlan.of(ContextPolicy.reject(), ROTARY, 5, 10);
    ContextPlan sliding = ContextPlan.of(ContextPolicy.slidingWindow(10), ROTARY, 5, 10);
    assertThat(full.firstVisible(50, 0)).isZero();
    assertThat(full.firstVisible(50, 20)).isEqualTo(31);
    assertThat(sliding.firstVisible(50, 0)).isEqualTo(41);
    assertThat(sliding.firstVisible(50, 20)).isEqualTo(41);
    assertThat(sliding.firstVisible(50, 5)).isEqualTo(46);
    assertThat(sliding.firstVisible(3, 0)).isZero();
  }

  @Test
  void limitsMustBePossible() {
    for (int limit : new int[] {Integer.MIN_VALUE, -1, 0, 401, Integer.MAX_VALUE}) {
      assertThatIllegalArgumentException().isThrownBy(() -> new ContextLimits(limit, 400, true)).withMessageContaining("contextLength");
    }
  }
}
