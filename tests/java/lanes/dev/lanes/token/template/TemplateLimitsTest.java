package dev.lanes.token.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.lanes.error.LanesException;
import dev.lanes.error.UnsupportedModelException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A hostile template cannot take the process's time, memory or stack. */
class TemplateLimitsTest {
  private static final Duration PATIENCE = Duration.ofSeconds(60);
  private static final String DOUBLING = "{% set ns = namespace(v=START) %}{% for i in range(200) %}{% set ns.v = STEP %}{% endfor %}";

  @ParameterizedTest
  @ValueSource(strings = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}",
      "{% for a in range(100000) %}{% for b in range(100000) if false %}{% endfor %}{% endfor %}",
      "{% for a in range(100000) %}{{ 'x' * 100000 }}{% endfor %}",
      "{{ range(100001) | list }}",
      "{{ range(10 ** 30) }}",
      "{{ 'x' * 10 ** 12 }}",
      "{{ 'x' * 10 ** 40 }}",
      "{{ [0] * 10 ** 9 }}",
      "{{ ['x' * 1000000] * 1000 | join }}",
      "{{ ('x' * 1000000) | list | map('replace', 'x', 'y' * 1000000) | join }}",
      "{{ 10 ** (10 ** 10) }}",
      "{{ 3 ** 20000 }}",
      "{{ 'x'.center(10 ** 12) }}",
      "{{ 'x'.ljust(2 ** 31 - 1) }}",
      "{{ '5'.zfill(10 ** 15) }}",
      "{{ '\\t'.expandtabs(10 ** 15) }}",
      "{{ '%1000000000000d' % 1 }}",
      "{{ '%.*f' % (10 ** 9, 1.5) }}",
      "{{ '{:1000000000000}'.format(1) }}",
      "{{ '{:.1000000}'.format(1.5) }}",
      "{{ '{:01000000000,}'.format(1) }}",
      "{{ 'a\\nb' | indent(10 ** 12) }}",
      "{{ messages | tojson(indent=10 ** 12) }}",
      "{{ 'x' | center(10 ** 12) }}",
      "{{ [1] | batch(10 ** 12, 'x') | list }}",
      "{{ [1] | slice(10 ** 12) | list }}",
      "{{ 'x'.join(range(100000) | map('string') | list).replace('', 'x' * 100000) }}",
      "{{ ('a' * 4000000).split('') }}",
      "{% macro f(x) %}{{ f(x + 1) }}{% endmacro %}{{ f(0) }}",
      "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
      "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
      "{% macro f(k) %}{% if k %}{{ f(k - 1) }}{{ f(k - 1) }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
      "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
      "{% set ns = namespace() %}{% set ns.me = [ns] %}{{ [ns, ns.me] }}",
  })
  void stopsSoonWithATypedError(String source) {
    assertTimeoutPreemptively(PATIENCE, () ->
        assertThatThrownBy(() -> ChatTemplates.render(source)).isInstanceOf(LanesException.class));
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "'x';ns.v ~ ns.v", "'x';ns.v + ns.v", "'x';ns.v * 2", "[0];ns.v + ns.v", "[0];ns.v * 3", "(0,);ns.v + ns.v",
      "'x';ns.v.replace('x', 'xx')", "'x';'%s%s' % (ns.v, ns.v)", "'x';'{0}{0}'.format(ns.v)", "'x';[ns.v, ns.v] | join",
      "2;ns.v * ns.v", "[0];[ns.v, ns.v] | tojson", "[0];[ns.v, ns.v] | string", "{};dict(a=ns.v | tojson, b=ns.v)"})
  void whatDoublesIsStopped(String startAndStep) {
    String[] parts = startAndStep.split(";");
    String source = DOUBLING.replace("START", parts[0]).replace("STEP", parts[1]);
    assertTimeoutPreemptively(PATIENCE, () ->
        assertThatThrownBy(() -> ChatTemplates.render(source)).isInstanceOf(TemplateException.class));
  }

  @ParameterizedTest
  @ValueSource(strings = {"{{ ns.v }}", "{{ ns.v | tojson }}", "{{ ns.v == ns.w }}", "{{ ns.v < ns.w }}", "{{ [ns.w] | unique | list }}",
      "{{ {ns.v: 1} }}"})
  void sharedPartsAreNotGoneThroughForever(String use) {
    String source = "{% set ns = namespace(v=(1, 2), w=(1, 2)) %}{% for i in range(60) %}{% set ns.v = (ns.v, ns.v) %}"
        + "{% set ns.w = (ns.w, ns.w) %}{% endfor %}" + use;
    assertTimeoutPreemptively(PATIENCE, () ->
        assertThatThrownBy(() -> ChatTemplates.render(source)).isInstanceOf(TemplateException.class));
  }

  @Test
  void deepSyntaxIsRefused() {
    for (String source : List.of(
        "{{ " + "(".repeat(5000) + "1" + ")".repeat(5000) + " }}",
        "{{ " + "[".repeat(5000) + "]".repeat(5000) + " }}",
        "{{ " + "-".repeat(100_000) + "1 }}",
        "{{ " + "not ".repeat(100_000) + "1 }}",
        "{{ 1" + " + 1".repeat(100_000) + " }}",
        "{{ 1" + " ** 1".repeat(100_000) + " }}",
        "{{ x" + ".y".repeat(100_000) + " }}",
        "{{ x" + "|upper".repeat(100_000) + " }}",
        "{{ x" + "()".repeat(100_000) + " }}",
        "{{ 1" + " if 1 else 1".repeat(50_000) + " }}",
        "{% if 1 %}".repeat(5000) + "{% endif %}".repeat(5000))) {
      assertThatThrownBy(() -> ChatTemplates.render(source)).isInstanceOf(UnsupportedModelException.class)
          .hasMessageContaining("nested");
    }
    assertThatThrownBy(() -> ChatTemplates.render("x".repeat(2_000_000))).isInstanceOf(UnsupportedModelException.class)
        .hasMessageContaining("2000000");
  }

  @Test
  void wideSyntaxIsFine() {
    assertThat(ChatTemplates.render("{{ 'a'" + " ~ 'a'".repeat(10_000) + " }}")).hasSize(10_001);
    assertThat(ChatTemplates.render("{% if x %}" + "{% elif x %}".repeat(5000) + "{% else %}y{% endif %}")).isEqualTo("y");
    assertThat(ChatTemplates.render("{{ [" + "1,".repeat(10_000) + "] | length }}")).isEqualTo("10000");
  }

  @Test
  void deepValuesAreStopped() {
    String source = "{% set ns = namespace(v=[]) %}{% for i in range(100000) %}{% set ns.v = [ns.v] %}{% endfor %}";
    for (String use : List.of("{{ ns.v }}", "{{ ns.v | tojson }}", "{{ ns.v == [ns.v] }}", "{{ ns.v | string }}")) {
      assertThatThrownBy(() -> ChatTemplates.render(source + use)).isInstanceOf(TemplateException.class).hasMessageContaining("nested");
    }
  }

  @Test
  void aSmallStackIsEnoughToFailProperly() throws Exception {
    failsProperlyOnASmallStack("{{ " + "(".repeat(190) + "1" + ")".repeat(190) + "x }}");
    failsProperlyOnASmallStack("{% macro f(k) %}" + "{% if k %}".repeat(10) + "{{ f(k - 1) }}" + "{% endif %}".repeat(10)
        + "{% endmacro %}{{ f(1000) }}");
  }

  private static void failsProperlyOnASmallStack(String source) throws InterruptedException {
    List<Throwable> failures = new ArrayList<>();
    Thread thread = new Thread(null, () -> {
      try {
        ChatTemplates.render(source);
      } catch (Throwable e) {
        failures.add(e);
      }
    }, "small stack", 256 * 1024);
    thread.start();
    thread.join();
    assertThat(failures).hasSize(1);
    assertThat(failures.get(0)).isInstanceOf(LanesException.class);
  }

  @Test
  void searchingIsLinear() {
    assertTimeoutPreemptively(PATIENCE, () -> {
      String text = "{% set h = 'a' * 1000000 %}{% set n = 'a' * 400000 ~ 'b' %}";
      assertThat(ChatTemplates.render(text + "{{ n in h }}{{ h.find(n) }}{{ h.rfind(n) }}{{ h.count(n) }}{{ h.split(n) | length }}"))
          .isEqualTo("False-1-101");
    });
  }

  @Test
  void aLongConversationIsRendered() {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (int i = 0; i < 2000; i++) {
      Map<String, Object> message = new HashMap<>();
      message.put("role", i % 2 == 0 ? "user" : "assistant");
      message.put("content", ("word " + i + " ").repeat(200));
      messages.add(message);
    }
    String source = "{% set ns = namespace(last=0) %}{% for m in messages[::-1] %}{% if m.role == 'user' and not ns.last %}"
        + "{% set ns.last = messages | length - loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}"
        + "{{ '<' ~ m.role ~ '>' ~ (m.content.split('</think>')[-1] | trim) ~ '\n' }}{% endfor %}{{ ns.last }}";
    String text = ChatTemplate.compile(source, ChatTemplates.FILE).render(messages, Map.of());
    assertThat(text).startsWith("<user>word 0 word").endsWith("word 1999\n1999");
  }
}
