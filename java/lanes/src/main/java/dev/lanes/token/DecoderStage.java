package dev.lanes.token;

import dev.lanes.format.TokenizerFile.DecoderStep;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * One step of decoding, fed token by token. What the steps of a tokenizer.json do to the list of all tokens, a stage does as the tokens
 * come; it passes on what cannot change any more and keeps the rest.
 */
abstract class DecoderStage {
  /** Takes one string; {@code next} gets what is final. */
  abstract void accept(String token, Consumer<String> next);

  /** No more will come: passes on what was kept. */
  void finish(Consumer<String> next) {}

  /**
   * The stage of a step.
   *
   * @param fused whether a step before has joined all tokens, so that what comes are parts of one string
   */
  static DecoderStage of(DecoderStep step, boolean fused) {
    if (step instanceof DecoderStep.Spaces) {
      return new Words("", false, false);
    } else if (step instanceof DecoderStep.ByteLevel) {
      return fused ? new Whole(new ByteLevel()) : new ByteLevel();
    } else if (step instanceof DecoderStep.ByteFallback) {
      return fused ? new Whole(new ByteFallback()) : new ByteFallback();
    } else if (step instanceof DecoderStep.Fuse) {
      return new Each(token -> token);
    } else if (step instanceof DecoderStep.Replace replace) {
      Each each = new Each(token -> token.replace(replace.text(), replace.by()));
      return fused && replace.text().length() > 1 ? new Whole(each) : each;
    } else if (step instanceof DecoderStep.Strip strip) {
      return fused ? new StripStart(strip.content(), strip.start()) : new Each(token -> strip(token, strip.content(), strip.start()));
    } else if (step instanceof DecoderStep.Metaspace meta) {
      return fused ? new Whole(new Metaspace(meta)) : new Metaspace(meta);
    } else if (step instanceof DecoderStep.WordPiece piece) {
      Words words = new Words(piece.prefix(), true, piece.cleanup());
      return fused ? new Whole(words) : words;
    } else if (step instanceof DecoderStep.WordEnd end) {
      return fused ? new Whole(new WordEnd(end.suffix())) : new WordEnd(end.suffix());
    }
    throw new IllegalStateException("no stage for " + step);
  }

  /** Whether the step makes one string of all that comes. */
  static boolean fuses(DecoderStep step) {
    return step instanceof DecoderStep.Fuse || step instanceof DecoderStep.ByteLevel;
  }

  private static String strip(String token, char content, int start) {
    int from = 0;
    while (from < start && from < token.length() && token.charAt(from) == content) {
      from++;
    }
    return token.substring(from);
  }

  /** Changes each token by itself. */
  private static final class Each extends DecoderStage {
    private final java.util.function.UnaryOperator<String> change;

    Each(java.util.function.UnaryOperator<String> change) {
      this.change = change;
    }

    @Override
    void accept(String token, Consumer<String> next) {
      next.accept(change.apply(token));
    }
  }

  /** Gives a stage the whole text at once, where it could not know from a part what becomes of it. */
  private static final class Whole extends DecoderStage {
    private final DecoderStage stage;
    private final StringBuilder text = new StringBuilder();
    private boolean any;

    Whole(DecoderStage stage) {
      this.stage = stage;
    }

    @Override
    void accept(String token, Consumer<String> next) {
      any = true;
      text.append(token);
    }

    @Override
    void finish(Consumer<String> next) {
      if (any) {
        stage.accept(text.toString(), next);
      }
      stage.finish(next);
    }
  }

  /** GPT-2's mapping of bytes to visible characters, inverted; a token with any other character stands for its own UTF-8. */
  private static final class ByteLevel extends DecoderStage {
    private static final Map<Character, Byte> BYTES = bytes();
    private final Utf8Decoder utf8 = new Utf8Decoder();
    private final StringBuilder out = new StringBuilder();

    private static Map<Character, Byte> bytes() {
      Map<Character, Byte> map = new HashMap<>();
      int substitutes = 0;
      for (int b = 0; b < 256; b++) {
        boolean visible = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
        map.put(visible ? (char) b : (char) (256 + substitutes++), (byte) b);
      }
      return map;
    }

    @Override
    void accept(String token, Consumer<String> next) {
      byte[] mapped = new byte[token.length()];
      boolean all = true;
      for (int i = 0; all && i < mapped.length; i++) {
        Byte b = BYTES.get(token.charAt(i));
        all = b != null;
        mapped[i] = all ? b : 0;
      }
      for (byte b : all ? mapped : token.getBytes(StandardCharsets.UTF_8)) {
        utf8.append(b, out);
      }
      drain(next);
    }

    @Override
    void finish(Consumer<String> next) {
      utf8.finish(out);
      drain(next);
    }

    private void drain(Consumer<String> next) {
      next.accept(out.toString());
      out.setLength(0);
    }
  }

  /** Keeps a run of byte tokens until it ends: if any of it is malformed, all of its bytes become U+FFFD, one each. */
  private static final class ByteFallback extends DecoderStage {
    private final ByteArrayOutputStream run = new ByteArrayOutputStream();

    @Override
    void accept(String token, Consumer<String> next) {
      if (token.length() == 6 && token.startsWith("<0x") && token.endsWith(">")) {
        int high = Character.digit(token.charAt(3), 16);
        int low = Character.digit(token.charAt(4), 16);
        if (high >= 0 && low >= 0) {
          run.write(high << 4 | low);
          return;
        }
      }
      finish(next);
      next.accept(token);
    }

    @Override
    void finish(Consumer<String> next) {
      if (run.size() == 0) {
        return;
      }
      String text;
      try {
        text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(run.toByteArray())).toString();
      } catch (CharacterCodingException e) {
        text = "\uFFFD".repeat(run.size());
      }
      run.reset();
      next.accept(text);
    }
  }

  /** Removes leading characters of a text that comes in parts. */
  private static final class StripStart extends DecoderStage {
    private final char content;
    private int left;

    StripStart(char content, int start) {
      this.content = content;
      this.left = start;
    }

    @Override
    void accept(String part, Consumer<String> next) {
      int from = 0;
      while (left > 0 && from < part.length()) {
        if (part.charAt(from) != content) {
          left = 0;
          break;
        }
        from++;
        left--;
      }
      next.accept(part.substring(from));
    }
  }

  private static final class Metaspace extends DecoderStage {
    private final DecoderStep.Metaspace step;
    private boolean first;

    Metaspace(DecoderStep.Metaspace step) {
      this.step = step;
      this.first = step.dropFirst();
    }

    @Override
    void accept(String token, Consumer<String> next) {
      next.accept(token.replace(step.replacement(), first ? "" : " "));
      first = false;
    }
  }

  /** A space before every token but the first, except before those that continue a word. */
  private static final class Words extends DecoderStage {
    private static final String[][] CLEANUP = {
      {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}
    };
    private final String prefix;
    private final boolean pieces;
    private final boolean cleanup;
    private boolean first = true;

    Words(String prefix, boolean pieces, boolean cleanup) {
      this.prefix = prefix;
      this.pieces = pieces;
      this.cleanup = cleanup;
    }

    @Override
    void accept(String token, Consumer<String> next) {
      String text = token;
      if (!first) {
        text = pieces && token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
      }
      first = false;
      if (cleanup) {
        for (String[] pair : CLEANUP) {
          text = text.replace(pair[0], pair[1]);
        }
      }
      next.accept(text);
    }
  }

  /** The suffix becomes a space, but nothing in the last token: keeps one token back. */
  private static final class WordEnd extends DecoderStage {
    private final String suffix;
    private String last;

    WordEnd(String suffix) {
      this.suffix = suffix;
    }

    @Override
    void accept(String token, Consumer<String> next) {
      if (last != null) {
        next.accept(last.replace(suffix, " "));
      }
      last = token;
    }

    @Override
    void finish(Consumer<String> next) {
      if (last != null) {
        next.accept(last.replace(suffix, ""));
      }
    }
  }
}
