package dev.lanes.needle;

import dev.lanes.ChatMessage;
import dev.lanes.ChatOptions;
import dev.lanes.LanguageModel;
import dev.lanes.token.Tokenizer;
import java.text.BreakIterator;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/** Builds the prompts of a test: whole sentences of the haystack with needles between them, as many as fit the length. */
final class Prompts {
  /**
   * A prompt.
   *
   * @param ids what the model gets
   * @param needleBegin token at which the needle begins; -1 where a chat template rewrites it
   * @param needleEnd token at which it ends
   * @param answer the number
   */
  record Prompt(int[] ids, int needleBegin, int needleEnd, String answer) {}

  /** A needle before sentence {@code gap} of the text. */
  private record Placed(int gap, String sentence) {}

  private final LanguageModel model;
  private final Tokenizer tokenizer;
  private final NeedleSpec spec;
  private final boolean chat;
  private final int answerTokens;
  private final List<String> sentences;
  /** Tokens of each sentence by itself; those of a text differ a little from their sum. */
  private final int[] sentenceTokens;
  private final String space;

  Prompts(LanguageModel model, Tokenizer tokenizer, NeedleSpec spec, boolean chat, int answerTokens) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.spec = spec;
    this.chat = chat;
    this.answerTokens = answerTokens;
    sentences = sentencesOf(spec.text().haystack());
    sentenceTokens = sentences.stream().mapToInt(sentence -> Math.max(1, tokenizer.encode(sentence, false).length)).toArray();
    space = sentences.stream().anyMatch(sentence -> sentence.endsWith(" ")) ? " " : "";
  }

  /** Sentences with the white space behind them; the last ends as if another followed. */
  static List<String> sentencesOf(String haystack) {
    BreakIterator breaks = BreakIterator.getSentenceInstance(Locale.ROOT);
    String text = haystack.strip();
    breaks.setText(text);
    List<String> sentences = new ArrayList<>();
    int begin = breaks.first();
    for (int end = breaks.next(); end != BreakIterator.DONE; begin = end, end = breaks.next()) {
      sentences.add(text.substring(begin, end));
    }
    sentences.set(sentences.size() - 1, sentences.get(sentences.size() - 1) + "\n");
    return sentences;
  }

  /** @throws IllegalArgumentException if question, needles and answer alone take more than {@code length} */
  Prompt build(int length, int depth, int trial) {
    SplittableRandom random = new SplittableRandom(spec.seed() + 1_000_003L * trial);
    int first = random.nextInt(sentences.size());
    // Where the text begins is the trial's alone, so that prompts share prefixes; keys and numbers are the cell's.
    random = new SplittableRandom(random.nextLong() + 101L * length + depth);
    List<String> keys = new ArrayList<>(spec.text().keys());
    List<String> values = new ArrayList<>();
    while (values.size() <= spec.distractors()) {
      String value = Integer.toString(random.nextInt(1000, 10_000));
      if (!values.contains(value)) {
        values.add(value);
      }
    }
    List<String> needles = new ArrayList<>();
    String asked = null;
    for (String value : values) {
      String key = keys.remove(random.nextInt(keys.size()));
      asked = asked == null ? key : asked;
      needles.add(spec.text().needle(key, value) + space);
    }

    int room = length - answerTokens;
    int needed = ids(render(List.of(), 0, 0, place(needles, 0, depth, 0, random.split()), asked)).length;
    if (needed > room) {
      throw new IllegalArgumentException("length " + length + " is too short: question and needles take " + needed + " tokens, the answer "
          + answerTokens);
    }
    int count = fitting(first, room - needed);
    SplittableRandom places = random.split();
    while (true) {
      List<Placed> placed = place(needles, count, depth, first, places.split());
      String text = render(sentences, first, count, placed, asked);
      int[] ids = ids(text);
      if (ids.length <= room) {
        String needle = needles.get(0).strip();
        int begin = text.indexOf(needle);
        return begin < 0 ? new Prompt(ids, -1, -1, values.get(0))
            : new Prompt(ids, ids(text.substring(0, begin)).length, ids(text.substring(0, begin + needle.length())).length, values.get(0));
      }
      for (int excess = ids.length - room; excess > 0 && count > 0; count--) {
        excess -= tokens(first + count - 1);
      }
    }
  }

  /** How many sentences take at most so many tokens. */
  private int fitting(int first, int room) {
    int count = 0;
    int left = room;
    while (left >= tokens(first + count)) {
      left -= tokens(first + count++);
    }
    return count;
  }

  private int tokens(int sentence) {
    return sentenceTokens[sentence % sentenceTokens.length];
  }

  /** The asked needle at the gap nearest to the depth, the others anywhere. */
  private List<Placed> place(List<String> needles, int count, int depth, int first, SplittableRandom random) {
    long all = 0;
    for (int i = 0; i < count; i++) {
      all += tokens(first + i);
    }
    double target = all * (depth / 100.0);
    int gap = 0;
    long before = 0;
    while (gap < count && before + tokens(first + gap) / 2.0 < target) {
      before += tokens(first + gap++);
    }
    List<Placed> placed = new ArrayList<>();
    placed.add(new Placed(gap, needles.get(0)));
    for (String needle : needles.subList(1, needles.size())) {
      placed.add(new Placed(random.nextInt(count + 1), needle));
    }
    return placed;
  }

  private String render(List<String> all, int first, int count, List<Placed> placed, String asked) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i <= count; i++) {
      for (Placed needle : placed) {
        if (needle.gap() == i) {
          text.append(needle.sentence());
        }
      }
      if (i < count) {
        text.append(all.get((first + i) % all.size()));
      }
    }
    if (!chat) {
      return text.append(spec.text().completion(asked)).toString();
    }
    String message = text.toString().strip() + "\n\n" + spec.text().question(asked);
    return model.renderChat(List.of(ChatMessage.user(message)), ChatOptions.defaults());
  }

  /** As {@link LanguageModel#chatIds} and {@link LanguageModel#generate} encode. */
  private int[] ids(String text) {
    return tokenizer.encode(text, !chat);
  }
}
