package dev.lanes.context;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ContextPolicyTest {
  @ParameterizedTest
  @ValueSource(strings = {"reject", "truncate-oldest", "truncate-oldest:7", "truncate-newest", "truncate-middle", "sliding:128",
      "sinks:4,60"})
  void textFormReadsBack(String text) {
    assertThat(ContextPolicy.parse(text).text()).isEqualTo(text);
  }

  @Test
  void readsWhatItSays() {
    assertThat(ContextPolicy.parse("truncate-oldest:7")).isEqualTo(ContextPolicy.truncateOldest(7));
    assertThat(ContextPolicy.parse("truncate-oldest:0")).isEqualTo(ContextPolicy.truncateOldest(0));
    assertThat(ContextPolicy.parse("sinks:4,60")).isEqualTo(ContextPolicy.attentionSinks(4, 60));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Reject", "reject:1", "truncate", "truncate-oldest:", "truncate-oldest:x", "truncate-newest:1", "sliding",
      "sliding:", "sliding:1,2", "sinks:1", "sinks:1,2,3", "sinks:a,b", "sliding:99999999999", " reject"})
  void unknownFormsAreRefusedWithTheListOfKnownOnes(String text) {
    assertThatIllegalArgumentException().isThrownBy(() -> ContextPolicy.parse(text))
        .withMessageContaining("'" + text + "'").withMessageContaining("truncate-oldest:KEEP").withMessageContaining("sinks:SINKS,WINDOW");
  }

  @ParameterizedTest
  @ValueSource(strings = {"sliding:0", "sliding:-1", "sinks:0,5", "sinks:-1,5", "sinks:5,0", "sinks:2147483647,2", "truncate-oldest:-1"})
  void impossibleNumbersAreRefused(String text) {
    assertThatIllegalArgumentException().isThrownBy(() -> ContextPolicy.parse(text)).withMessageContaining(text)
        .withMessageContaining("expected");
  }

  @Test
  void nullIsRefused() {
    assertThatNullPointerException().isThrownBy(() -> ContextPolicy.parse(null));
    assertThatNullPointerException().isThrownBy(() -> new ContextPolicy.Truncate(null, 0)).withMessageContaining("drop");
  }

  @Test
  void onlyOldestKeepsFirstTokens() {
    assertThatIllegalArgumentException().isThrownBy(() -> new ContextPolicy.Truncate(ContextPolicy.Truncate.Drop.NEWEST, 1))
        .withMessageContaining("keepFirst");
  }
}
