package dev.lanes.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lanes.TestSeed;
import dev.lanes.token.IncrementalDecoder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class OutputTextTest {
  /** Token i is piece i of a text; what a flush gives is set apart. */
  private static final class Pieces implements IncrementalDecoder {
    private final List<String> pieces;
    private final String rest;

    Pieces(List<String> pieces, String rest) {
      this.pieces = pieces;
      this.rest = rest;
    }

    @Override
    public String append(int id) {
      return pieces.get(id);
    }

    @Override
    public String flush() {
      return rest;
    }
  }

  /** What a caller gets: the pieces, and the stop string or null. */
  private record Streamed(List<String> pieces, String stop) {
    String text() {
      return String.join("", pieces);
    }
  }

  private static Streamed stream(List<String> pieces, String rest, String... stops) {
    OutputText text = new OutputText(new Pieces(pieces, rest), List.of(stops));
    List<String> out = new ArrayList<>();
    for (int id = 0; id < pieces.size() && text.stopText() == null; id++) {
      out.add(text.append(id));
    }
    out.add(text.finish());
    return new Streamed(out, text.stopText());
  }

  @Test
  void withoutStopStringsTextPassesThrough() {
    assertThat(stream(List.of("a", "", "bc"), "d").pieces()).containsExactly("a", "", "bc", "d");
  }

  @Test
  void stopStringAcrossPiecesIsHeldBackAndNeverSeen() {
    Streamed streamed = stream(List.of("one E", "N", "D two"), "", "END");
    assertThat(streamed.pieces()).containsExactly("one ", "", "", "");
    assertThat(streamed.stop()).isEqualTo("END");
  }

  @Test
  void textThatBecomesNoStopStringComesLater() {
    assertThat(stream(List.of("one E", "N", "T two"), "", "END").pieces()).containsExactly("one ", "", "ENT two", "");
  }

  @Test
  void heldBackTextComesAtTheEnd() {
    assertThat(stream(List.of("one EN"), "", "END").pieces()).containsExactly("one ", "EN");
  }

  @Test
  void overlappingStartsAreFound() {
    assertThat(stream(List.of("a", "a", "a", "b", "c"), "", "aab").text()).isEqualTo("a");
  }

  @Test
  void stopStringCompletedByTheFlushCounts() {
    Streamed streamed = stream(List.of("x", "E"), "ND", "END");
    assertThat(streamed.text()).isEqualTo("x");
    assertThat(streamed.stop()).isEqualTo("END");
  }

  @Test
  void firstCompleteStopStringWinsWhateverThePieces() {
    for (List<String> pieces : List.of(List.of("abcd"), List.of("a", "b", "c", "d"), List.of("ab", "cd"), List.of("abc", "d"))) {
      Streamed streamed = stream(pieces, "", "abcd", "bc");
      assertThat(streamed.text()).as(pieces.toString()).isEqualTo("a");
      assertThat(streamed.stop()).isEqualTo("bc");
    }
    assertThat(stream(List.of("abc"), "", "bc", "abc").stop()).as("the longer of two that end together").isEqualTo("abc");
  }

  @Test
  void withoutDecoderThereIsNoText() {
    OutputText text = new OutputText(null, List.of());
    assertThat(text.append(7)).isEmpty();
    assertThat(text.finish()).isEmpty();
  }

  @Test
  void randomTextsStopWhereANaiveSearchSays() {
    Random random = TestSeed.random();
    for (int round = 0; round < 20_000; round++) {
      String whole = letters(random, random.nextInt(12));
      String[] stops = new String[1 + random.nextInt(3)];
      for (int i = 0; i < stops.length; i++) {
        stops[i] = letters(random, 1 + random.nextInt(4));
      }
      List<String> pieces = new ArrayList<>();
      int cut = 0;
      while (cut < whole.length()) {
        int end = Math.min(whole.length(), cut + random.nextInt(4));
        pieces.add(whole.substring(cut, end));
        cut = end;
      }
      String rest = random.nextBoolean() || pieces.isEmpty() ? "" : pieces.remove(pieces.size() - 1);
      Streamed streamed = stream(pieces, rest, stops);
      String[] expected = naive(whole, stops);
      String what = TestSeed.note() + " round " + round + " " + pieces + "+" + rest + " stops " + List.of(stops);
      assertThat(streamed.text()).as(what).isEqualTo(expected[0]);
      assertThat(streamed.stop()).as(what).isEqualTo(expected[1]);
    }
  }

  /** Text before the stop string that is complete first, the longest of those; and that string. */
  private static String[] naive(String whole, String[] stops) {
    for (int end = 1; end <= whole.length(); end++) {
      String found = null;
      for (String stop : stops) {
        if (whole.substring(0, end).endsWith(stop) && (found == null || stop.length() > found.length())) {
          found = stop;
        }
      }
      if (found != null) {
        return new String[] {whole.substring(0, end - found.length()), found};
      }
    }
    return new String[] {whole, null};
  }

  private static String letters(Random random, int length) {
    return random.ints(length, 'a', 'd').collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append).toString();
  }
}
