package dev.lanes.token.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.lanes.error.InvalidModelException;
import dev.lanes.error.LanesException;
import dev.lanes.error.UnsupportedModelException;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Refusals say what, where and why, and are typed. */
class TemplateErrorsTest {
  private static final long SEED = Long.getLong("lanes.test.seed", 20240705L);
  private static final String[] FRAGMENTS = {
      "{{", "}}", "{%", "%}", "{{ ", " }}", "{% ", " %}", "{#", "#}", "-", "+", " ", "\n", "if ", "for x in ", "endfor", "else", "endif",
      "set x =", "set y", "endset", "macro m(a)", "endmacro", "call m(1)", "endcall", "raw", "endraw", "x", "messages", "'a'", "\"", "1",
      "2.5", "(", ")", "[", "]", "{", "}", ":", ",", ".", "|", "upper", "join", " is ", "defined", " not ", " and ", " in ", "~", "*",
      "**", "//", "\\", "é", "😀", "loop", " recursive", "break", "namespace()", "range(3)", "%", "==", "<"};

  @ParameterizedTest
  @CsvSource(delimiter = '#', quoteCharacter = '`', value = {
      "{% block body %}{% endblock %} # tag 'block'",
      "{% extends 'base' %} # tag 'extends'",
      "{% include 'other' %} # tag 'include'",
      "{% import 'other' as o %} # tag 'import'",
      "{% from 'other' import m %} # tag 'from'",
      "{% autoescape true %}{% endautoescape %} # tag 'autoescape'",
      "{% do messages.append(1) %} # tag 'do'",
      "{% trans %}x{% endtrans %} # tag 'trans'",
      "{{ messages | random }} # filter 'random'",
      "{{ messages | pprint }} # filter 'pprint'",
      "{{ 'x' | urlize }} # filter 'urlize'",
      "{{ messages[1:2, 3] }} # several slices",
  })
  void refusesAnUnsupportedConstructByName(String source, String construct) {
    assertThatThrownBy(() -> ChatTemplate.compile("first line\n\n" + source, ChatTemplates.FILE))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageStartingWith("tokenizer_config.json: chat_template line 3: ").hasMessageContaining(construct)
        .hasMessageContaining("not supported");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '#', quoteCharacter = '`', value = {
      "{{ 'open }} # never closed",
      "{{ 1 + }} # '}}'",
      "{{ [1, 2 }} # ",
      "{{ (1] }} # unexpected ']'",
      "{{ a b }} # 'b'",
      "{{ a ? b }} # '?'",
      "{% if x %} # never closed",
      "{% for x in y %}{% endif %} # 'endif'",
      "{% for x y %} # 'in'",
      "{% frobnicate %} # 'frobnicate'",
      "{{ x | frobnicate }} # filter named 'frobnicate'",
      "{{ x is frobnicate }} # test named 'frobnicate'",
      "{% continue %} # 'continue' outside",
      "{% set 'x' = 1 %} # assign",
      "{{ '\\u12' }} # hexadecimal",
      "{{ 1e999 }} # too large",
      "{{ f(a=1, 2) }} # arguments",
      "{% macro m(caller) %}{{ caller() }}{% endmacro %} # caller",
  })
  void saysWhatIsWrongWithTheSyntax(String source, String problem) {
    assertThatThrownBy(() -> ChatTemplate.compile("first line\n" + source, ChatTemplates.FILE))
        .isInstanceOf(InvalidModelException.class).isNotInstanceOf(UnsupportedModelException.class)
        .hasMessageStartingWith("tokenizer_config.json: chat_template line 2: ").hasMessageContaining(problem == null ? "" : problem);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '#', quoteCharacter = '`', value = {
      "{{ nope.attribute }} # 'nope' is undefined",
      "{{ messages.nope.deeper }} # 'list object' has no attribute 'nope'",
      "{{ 1 + 'a' }} # unsupported operand type(s) for +: 'int' and 'str'",
      "{{ 'a' < 1 }} # 'str' and 'int'",
      "{{ messages.append(1) }} # unsafe",
      "{{ 5 | length }} # 'int' has no len()",
      "{{ nope | tojson }} # Undefined is not JSON serializable",
      "{% for x in 5 %}{% endfor %} # 'int' object is not iterable",
      "{{ 'x'.encode() }} # not supported: str.encode",
      "{{ messages | map('upper') }} # not supported: printing an object of type 'generator'",
      "{{ 'x'.upper }} # not supported: printing",
      "{{ lipsum() }} # not supported: lipsum",
      "{{ (-8) ** 0.5 }} # complex",
      "{{ 'ab' is sameas 'ab' }} # sameas",
  })
  void sayWhatWentWrongAndWhere(String source, String problem) {
    TemplateException e = catchThrowableOfType(TemplateException.class, () -> ChatTemplates.render("one\n\n\n" + source));
    assertThat(e.line()).isEqualTo(4);
    assertThat(e.file()).isEqualTo(ChatTemplates.FILE);
    assertThat(e.raisedByTemplate()).isFalse();
    assertThat(e).hasMessageStartingWith("tokenizer_config.json: chat_template line 4: ").hasMessageContaining(problem);
  }

  @Test
  void theTemplateItselfCanRefuse() {
    String source = "{% macro check(role) %}\n{% if role != 'user' %}\n{{ raise_exception('Only user, not ' ~ role) }}{% endif %}\n"
        + "{% endmacro %}\n{{ check('robot') }}";
    TemplateException e = catchThrowableOfType(TemplateException.class, () -> ChatTemplates.render(source));
    assertThat(e.raisedByTemplate()).isTrue();
    assertThat(e.reason()).isEqualTo("Only user, not robot");
    assertThat(e.line()).isEqualTo(3);
    assertThat(e).isInstanceOf(LanesException.class);
  }

  @Test
  void anUnknownFilterInABranchThatNeverRunsDoesNoHarm() {
    String source = "{% if x is defined %}{{ x | special }}{% else %}plain{% endif %}";
    assertThat(ChatTemplates.render(source)).isEqualTo("plain");
    assertThatThrownBy(() -> ChatTemplates.render(source, Map.of("x", 1))).isInstanceOf(TemplateException.class)
        .hasMessageContaining("special");
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "{{ ''.__class__ }}", "{{ messages.__class__.__mro__ }}", "{{ ''['__class__'] }}", "{{ ''.getClass() }}", "{{ messages.class }}",
      "{{ range.__globals__ }}", "{{ messages | attr('__class__') }}", "{{ namespace.__init__ }}", "{{ ''.class.forName('x') }}",
      "{{ '{0.__class__.__mro__}'.format(1) }}", "{{ messages | map(attribute='__class__') | list }}"})
  void nothingBehindTheValuesCanBeReached(String source) {
    String text;
    try {
      text = ChatTemplates.render(source);
    } catch (TemplateException e) {
      return;
    }
    assertThat(text).isIn("", "[]");
  }

  /** Whatever the source, a template is rendered or refused with a typed error. */
  @Test
  void neverFailsInAnyOtherWay() {
    Random random = new Random(SEED);
    for (int i = 0; i < 5000; i++) {
      StringBuilder source = new StringBuilder();
      for (int n = random.nextInt(40); n > 0; n--) {
        source.append(FRAGMENTS[random.nextInt(FRAGMENTS.length)]);
      }
      try {
        ChatTemplates.render(source.toString(), Map.of("x", "value"));
      } catch (LanesException e) {
        assertThat(e.getMessage()).startsWith("tokenizer_config.json: chat_template line ");
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + SEED + ", template " + source, e);
      }
    }
  }
}
