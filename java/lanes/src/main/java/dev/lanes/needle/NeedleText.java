package dev.lanes.needle;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;

/**
 * What is hidden, in what, and how it is asked for. In {@code needle}, {@code completion} and {@code question}, {@code {key}} stands for what
 * the number belongs to and {@code {value}} for the number.
 *
 * @param haystack the text around the needle; a longer one than there is repeats it
 * @param needle the sentence, with {@code {key}} and {@code {value}}
 * @param completion the beginning of a sentence that the number continues, with {@code {key}}: what models without a chat template are asked
 * @param question the question, with {@code {key}}: what models with a chat template are asked
 * @param keys what a number can belong to, all different
 */
public record NeedleText(String haystack, String needle, String completion, String question, List<String> keys) {
  static final String KEY = "{key}";
  static final String VALUE = "{value}";

  /** @throws IllegalArgumentException if a placeholder is missing or there is no text to hide the needle in */
  public NeedleText {
    Objects.requireNonNull(haystack, "haystack is null");
    keys = List.copyOf(keys);
    if (haystack.isBlank()) {
      throw new IllegalArgumentException("haystack is empty, expected a text");
    }
    require("needle", needle, KEY);
    require("needle", needle, VALUE);
    require("completion", completion, KEY);
    require("question", question, KEY);
    if (keys.isEmpty() || new HashSet<>(keys).size() < keys.size() || keys.stream().anyMatch(String::isBlank)) {
      throw new IllegalArgumentException("keys are " + keys + ", expected at least one, all different, none empty");
    }
  }

  private static void require(String name, String text, String placeholder) {
    Objects.requireNonNull(text, name + " is null");
    if (!text.contains(placeholder)) {
      throw new IllegalArgumentException(name + " is '" + text + "', expected " + placeholder + " in it");
    }
  }

  /** Stories for children, with secret numbers of animals and things. */
  public static NeedleText english() {
    return new NeedleText(resource("english.txt"), "The secret number of {key} is {value}.", "The secret number of {key} is",
        "What is the secret number of {key}? Answer with the number.",
        List.of("the blue bird", "the old fox", "the happy cat", "the tall tree", "the red house", "the quiet girl", "the little bear",
            "the green boat", "the brave mouse", "the busy baker", "the white horse", "the yellow duck"));
  }

  /** A walk through a village in Chinese, with secret numbers of animals and things. */
  public static NeedleText chinese() {
    return new NeedleText(resource("chinese.txt"), "{key}的秘密号码是{value}。", "{key}的秘密号码是", "{key}的秘密号码是多少？请只回答号码。",
        List.of("蓝色小鸟", "老狐狸", "快乐的猫", "高大的树", "红色房子", "安静的女孩", "小熊", "绿色的船", "勇敢的老鼠", "忙碌的面包师", "白马", "黄色的鸭子"));
  }

  private static String resource(String name) {
    try (InputStream in = NeedleText.class.getResourceAsStream(name)) {
      return new String(Objects.requireNonNull(in, () -> name + " is missing from the jar").readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** This needle in another text. */
  public NeedleText in(String otherHaystack) {
    return new NeedleText(otherHaystack, needle, completion, question, keys);
  }

  String needle(String key, String value) {
    return needle.replace(KEY, key).replace(VALUE, value);
  }

  String completion(String key) {
    return completion.replace(KEY, key);
  }

  String question(String key) {
    return question.replace(KEY, key);
  }
}
