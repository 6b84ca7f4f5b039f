package dev.lanes.token.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** The API: what goes in, what comes out, and use by several threads. */
class ChatTemplateTest {
  private static final String CHAT =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

  @Test
  void rendersAConversation() {
    ChatTemplate template = ChatTemplate.compile(CHAT, ChatTemplates.FILE);
    List<Map<String, String>> messages = List.of(Map.of("role", "user", "content", "Hi"));
    assertThat(template.render(messages, Map.of())).isEqualTo("<user>Hi");
    assertThat(template.render(messages, Map.of("add_generation_prompt", true))).isEqualTo("<user>Hi<assistant>");
  }

  @Test
  void whatTransformersAlwaysPassesIsDefined() {
    assertThat(ChatTemplates.render("{{ tools }}{{ documents }}{{ add_generation_prompt }}{{ bos_token is defined }}"))
        .isEqualTo("NoneNoneFalseFalse");
    assertThat(ChatTemplates.render("{{ messages }}{{ tools }}", Map.of("messages", "mine", "tools", List.of(1)))).isEqualTo("[][1]");
  }

  @Test
  void convertsJavaValues() {
    Map<String, Object> values = new HashMap<>();
    values.put("v", List.of((byte) 1, (short) 2, 3, 4L, 5f, 6.5, BigInteger.TWO.pow(70), new BigDecimal("1.25"), true, "s", Map.of("k", 1),
        new LinkedHashSet<>(List.of("x", "y"))));
    values.put("none", null);
    values.put("nothing", null);
    assertThat(ChatTemplates.render("{{ v }}{{ nothing }}", values))
        .isEqualTo("[1, 2, 3, 4, 5.0, 6.5, 1180591620717411303424, 1.25, True, 's', {'k': 1}, ['x', 'y']]None");
  }

  @Test
  void laterChangesOfTheInputDoNotMatter() {
    List<Object> nested = new ArrayList<>(List.of("a"));
    Map<String, Object> values = Map.of("v", nested);
    String before = ChatTemplates.render("{{ v }}", values);
    nested.add("b");
    assertThat(before).isEqualTo("['a']");
    assertThat(ChatTemplates.render("{{ v }}", values)).isEqualTo("['a', 'b']");
  }

  @Test
  void refusesValuesThatAreNoData() {
    assertThatThrownBy(() -> ChatTemplates.render("", Map.of("v", List.of(Map.of("k", new Object())))))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'v'").hasMessageContaining("java.lang.Object");
    assertThatThrownBy(() -> ChatTemplates.render("", Map.of("v", Map.of(1, 2))))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'v'").hasMessageContaining("1");
    assertThatThrownBy(() -> ChatTemplates.render("", Map.of("v", Thread.currentThread())))
        .isInstanceOf(IllegalArgumentException.class);
    List<Object> loop = new ArrayList<>();
    loop.add(loop);
    assertThatThrownBy(() -> ChatTemplates.render("", Map.of("v", loop)))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("nested");
    assertThatNullPointerException().isThrownBy(() -> ChatTemplate.compile(null, ChatTemplates.FILE));
    assertThatNullPointerException().isThrownBy(() -> ChatTemplate.compile("", null));
    assertThatNullPointerException().isThrownBy(() -> ChatTemplate.compile("", ChatTemplates.FILE).render(null, Map.of()));
    assertThatNullPointerException().isThrownBy(() -> ChatTemplate.compile("", ChatTemplates.FILE).render(List.of(), null));
    assertThatNullPointerException().isThrownBy(() -> ChatTemplate.compile("", ChatTemplates.FILE).withClock(null));
  }

  @Test
  void theClockCanBeSet() {
    ChatTemplate template = ChatTemplate.compile("{{ strftime_now('%d %b %Y, %H:%M') }}", ChatTemplates.FILE);
    ChatTemplate later = template.withClock(ChatTemplates.clockAt("2031-12-09T23:05:00"));
    assertThat(later.render(List.of(), Map.of())).isEqualTo("09 Dec 2031, 23:05");
    assertThat(template.render(List.of(), Map.of())).matches("\\d\\d \\w{3} \\d{4}, \\d\\d:\\d\\d");
  }

  @Test
  void oneTemplateServesManyThreads() throws Exception {
    String source = "{% macro show(x) %}{% set ns.total = ns.total + x %}{{ x }},{% endmacro %}{% set ns = namespace(total=0) %}"
        + "{% for i in range(n) %}{{ show(i) }}{% endfor %}{{ ns.total }}";
    ChatTemplate template = ChatTemplate.compile(source, ChatTemplates.FILE);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Future<String>> results = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        int n = i % 50;
        results.add(threads.submit(() -> template.render(List.of(), Collections.singletonMap("n", n))));
      }
      for (int i = 0; i < results.size(); i++) {
        int n = i % 50;
        StringBuilder expected = new StringBuilder();
        for (int k = 0; k < n; k++) {
          expected.append(k).append(',');
        }
        assertThat(results.get(i).get()).isEqualTo(expected.append(n * (n - 1) / 2).toString());
      }
    } finally {
      threads.shutdownNow();
    }
  }
}
