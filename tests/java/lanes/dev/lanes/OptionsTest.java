package dev.lanes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.context.ContextPolicy;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every option with every value that a careless caller may pass: taken, or refused by name. */
class OptionsTest {
  private static final int[] INTS = {Integer.MIN_VALUE, -1, 0, 1, Integer.MAX_VALUE};
  private static final long[] LONGS = {Long.MIN_VALUE, -1, 0, 1, Long.MAX_VALUE};
  private static final double[] DOUBLES = {Double.NaN, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY, -Double.MAX_VALUE, -1, -0.0, 0,
      Double.MIN_VALUE, 1e-46, 0.5, Math.nextDown(1.0), 1, Math.nextUp(1.0), Float.MAX_VALUE, Double.MAX_VALUE};

  /** What is taken; everything else must be refused. */
  private static boolean allowed(String option, Object value) {
    double number = value instanceof Number n ? n.doubleValue() : 0;
    return switch (option) {
      case "maxTokens", "topK" -> number >= 0;
      case "threads" -> number >= 0 && number <= 1024;
      case "deviceIndex" -> number >= 0 && number <= 1023;
      case "logProbabilities" -> number >= 0 && number <= 1000;
      case "contextLength", "cacheBytes", "cacheTokens" -> number >= 1;
      case "stepTokens" -> number >= 1 && number <= 1 << 20;
      case "maxBatch" -> number >= 1 && number <= 1 << 16;
      case "seed" -> true;
      case "temperature" -> number >= 0 && number <= Float.MAX_VALUE;
      case "topP" -> number > 0 && number <= 1;
      case "minP" -> number >= 0 && (float) number < 1;
      case "repetitionPenalty" -> (float) number > 0 && number <= Float.MAX_VALUE;
      default -> throw new AssertionError("the test does not know the option " + option);
    };
  }

  @TestFactory
  List<DynamicTest> everyOptionWithEveryValue() {
    List<DynamicTest> tests = new ArrayList<>();
    for (Class<?> builder : List.of(GenerationOptions.Builder.class, LoadOptions.Builder.class)) {
      for (Method method : builder.getDeclaredMethods()) {
        if (!Modifier.isPublic(method.getModifiers()) || method.getParameterCount() != 1) {
          continue;
        }
        for (Object value : values(method.getParameterTypes()[0])) {
          String name = builder.getEnclosingClass().getSimpleName() + "." + method.getName() + "(" + value + ")";
          tests.add(DynamicTest.dynamicTest(name, () -> tryValue(builder, method, value)));
        }
      }
    }
    assertThat(tests).hasSizeGreaterThan(90);
    return tests;
  }

  private static List<Object> values(Class<?> type) {
    List<Object> values = new ArrayList<>();
    if (type == int.class) {
      Arrays.stream(INTS).forEach(values::add);
    } else if (type == long.class) {
      Arrays.stream(LONGS).forEach(values::add);
    } else if (type == double.class) {
      Arrays.stream(DOUBLES).forEach(values::add);
    } else if (!type.isPrimitive()) {
      values.add(null);
    }
    return values;
  }

  private static void tryValue(Class<?> builder, Method method, Object value) throws Exception {
    Object target = builder.getEnclosingClass().getMethod("builder").invoke(null);
    Throwable refusal = null;
    try {
      method.invoke(target, value);
      builder.getMethod("build").invoke(target);
    } catch (InvocationTargetException e) {
      refusal = e.getCause();
    }
    if (value == null) {
      assertThat(refusal).isInstanceOf(NullPointerException.class).hasMessageContaining(method.getName());
    } else if (allowed(method.getName(), value)) {
      assertThat(refusal).isNull();
    } else {
      assertThat(refusal).isInstanceOf(IllegalArgumentException.class).hasMessageContaining(method.getName())
          .hasMessageContaining(value.toString()).hasMessageContaining("expected");
    }
  }

  @Test
  void stopStringsAreTexts() {
    GenerationOptions.Builder builder = GenerationOptions.builder();
    assertThatThrownBy(() -> builder.stop("a", null)).isInstanceOf(NullPointerException.class).hasMessageContaining("stop[1]");
    assertThatThrownBy(() -> builder.stop("a", "")).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("stop[1]");
    assertThatThrownBy(() -> builder.stop("\uDE00")).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("half a character");
    assertThatThrownBy(() -> builder.stop("a\uD83D")).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("half a character");
    assertThat(builder.stop("\uD83D\uDE00", "x").build().stop()).containsExactly("\uD83D\uDE00", "x");
  }

  @Test
  void stopTokensAreIds() {
    assertThatThrownBy(() -> GenerationOptions.builder().stopTokenIds(3, -1)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("stopTokenIds[1] is -1");
    int[] given = {3, 4};
    GenerationOptions options = GenerationOptions.builder().stopTokenIds(given).build();
    given[0] = 9;
    options.stopTokenIds()[1] = 9;
    assertThat(options.stopTokenIds()).containsExactly(3, 4);
  }

  @Test
  void typesAndInstructionSetsAreThoseThereAre() {
    for (DType type : DType.values()) {
      assertThat(LoadOptions.builder().cacheType(type).build().cacheType()).contains(type);
    }
    for (Compute compute : List.of(Compute.EXACT, Compute.BF16, Compute.F16)) {
      assertThat(LoadOptions.builder().compute(compute).build().compute()).contains(compute);
    }
    assertThatThrownBy(() -> LoadOptions.builder().compute(Compute.INT8)).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("compute is INT8");
    assertThat(LoadOptions.defaults().compute()).as("chosen by the device").isEmpty();
    assertThat(LoadOptions.defaults().cacheType()).as("chosen by the device").isEmpty();
    assertThatThrownBy(() -> LoadOptions.builder().isa("avx")).isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'avx'").hasMessageContaining("avx512, avx2, neon");
    for (String isa : Set.of("auto", "avx2", "avx512", "neon", "reference")) {
      assertThatCode(() -> LoadOptions.builder().isa(isa).build()).doesNotThrowAnyException();
    }
  }

  @Test
  void builderStartsFromOtherOptions() {
    GenerationOptions options = GenerationOptions.builder().maxTokens(7).temperature(0.5).topK(3).topP(0.9).minP(0.1).repetitionPenalty(1.2)
        .seed(9).stop("x").stopTokenIds(4).ignoreEos(true).contextLength(50).contextPolicy(ContextPolicy.truncateMiddle())
        .logProbabilities(2).build();
    assertThat(options.toBuilder().build()).usingRecursiveComparison().isEqualTo(options);
    assertThat(options.toBuilder().seed(10).build().seed()).isEqualTo(10);
  }

  @Test
  void chatAndEmbeddingOptionsRefuseNull() {
    assertThatThrownBy(() -> new EmbeddingOptions(null, true)).isInstanceOf(NullPointerException.class).hasMessageContaining("pooling");
    assertThatThrownBy(() -> new ChatMessage(null, "")).isInstanceOf(NullPointerException.class).hasMessageContaining("role");
    assertThatThrownBy(() -> ChatMessage.user(null)).isInstanceOf(NullPointerException.class).hasMessageContaining("content");
    assertThatThrownBy(() -> ChatOptions.defaults().withTools(null)).isInstanceOf(NullPointerException.class).hasMessageContaining("tools");
    assertThatThrownBy(() -> ChatOptions.defaults().withTemplate(null)).isInstanceOf(NullPointerException.class)
        .hasMessageContaining("template");
  }
}
