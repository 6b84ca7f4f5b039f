package dev.lanes.needle;

import dev.lanes.token.IncrementalDecoder;
import dev.lanes.token.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;

/** Words, digits and all other characters are tokens of their own; id 0 begins a text. Decoding gives the text back exactly. */
final class WordTokenizer implements Tokenizer {
  private static final Pattern TOKEN = Pattern.compile("[A-Za-z]+|.", Pattern.DOTALL);

  private final List<String> words = new ArrayList<>(List.of(""));

  @Override
  public int[] encode(String text, boolean addSpecialTokens) {
    List<Integer> ids = new ArrayList<>();
    if (addSpecialTokens) {
      ids.add(0);
    }
    TOKEN.matcher(text).results().forEach(match -> {
      int id = words.indexOf(match.group());
      if (id < 0) {
        id = words.size();
        words.add(match.group());
      }
      ids.add(id);
    });
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }

  @Override
  public String decode(int[] ids, boolean skipSpecialTokens) {
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(words.get(id));
    }
    return text.toString();
  }

  @Override
  public IncrementalDecoder incrementalDecoder(boolean skipSpecialTokens) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int vocabularySize() {
    return words.size();
  }

  @Override
  public OptionalInt tokenId(String token) {
    int id = words.indexOf(token);
    return id < 0 ? OptionalInt.empty() : OptionalInt.of(id);
  }

  @Override
  public Optional<String> tokenText(int id) {
    return Optional.of(words.get(id));
  }

  @Override
  public boolean isSpecial(int id) {
    return id == 0;
  }

  @Override
  public void close() {}
}
