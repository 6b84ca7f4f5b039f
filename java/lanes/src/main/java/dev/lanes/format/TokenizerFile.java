package dev.lanes.format;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A validated tokenizer.json of the Hugging Face tokenizers library. The native tokenizer ends the process on some malformed files, so
 * whatever it would do that on is refused here: unknown components, ids with gaps, templates of tokens that do not exist.
 *
 * @param file where it was read
 * @param json what the native tokenizer gets: the file's text, with the added tokens of tokenizer_config.json merged in
 * @param tokens the vocabulary, added tokens included: the text of each id, without gap
 * @param ids the id of each token's text
 * @param special ids that decoding may skip
 * @param decoders how tokens become text, in order
 * @param matches what regular expressions will be matched against, and which, in order
 */
public record TokenizerFile(
    Path file,
    String json,
    List<String> tokens,
    Map<String, Integer> ids,
    Set<Integer> special,
    List<DecoderStep> decoders,
    List<MatchStep> matches) {

  /** The file's name in a model directory. */
  public static final String NAME = "tokenizer.json";

  /**
   * Reads tokenizer.json in a model directory; empty when there is none.
   *
   * @param config what lies beside it
   * @throws dev.lanes.error.InvalidModelException if it is damaged
   * @throws dev.lanes.error.UnsupportedModelException if it has a component that Lanes lacks
   */
  public static Optional<TokenizerFile> load(Path directory, TokenizerConfig config) {
    Path file = directory.resolve(NAME);
    return Files.exists(file) ? Optional.of(new TokenizerFileReader(file, config).read()) : Optional.empty();
  }

  /** One step from tokens to text. The steps take and give a list of strings; at the end they are joined. */
  public sealed interface DecoderStep {
    /** Puts a space between tokens; what a file without decoder means. */
    record Spaces() implements DecoderStep {}

    /** Each character stands for a byte, as in GPT-2; joins all to one string of UTF-8. */
    record ByteLevel() implements DecoderStep {}

    /** {@code <0xE4>} stands for a byte; runs of such tokens become UTF-8 text. */
    record ByteFallback() implements DecoderStep {}

    /** Joins all tokens to one. */
    record Fuse() implements DecoderStep {}

    /** Replaces a text in each token. */
    record Replace(String text, String by) implements DecoderStep {}

    /** Removes up to {@code start} leading {@code content} from each token. */
    record Strip(char content, int start) implements DecoderStep {}

    /** {@code replacement} stands for a space, and for nothing in the first token where {@code dropFirst}. */
    record Metaspace(String replacement, boolean dropFirst) implements DecoderStep {}

    /** Tokens with the prefix continue a word, others begin one; {@code cleanup} removes spaces before punctuation. */
    record WordPiece(String prefix, boolean cleanup) implements DecoderStep {}

    /** Tokens with the suffix end a word. */
    record WordEnd(String suffix) implements DecoderStep {}
  }

  /** One step of the way of a text to the regular expressions that will be matched against it. */
  public sealed interface MatchStep {
    /** The text gets a prefix. */
    record Prepend(String prefix) implements MatchStep {}

    /** A text is replaced. */
    record Replace(String text, String by) implements MatchStep {}

    /** The text is lower-cased. */
    record Lowercase() implements MatchStep {}

    /** The text is brought to a Unicode normal form. */
    record Normalize(java.text.Normalizer.Form form) implements MatchStep {}

    /**
     * A regular expression is matched.
     *
     * @param item where the file has it
     * @param by what replaces the matches; empty where they only split the text
     */
    record Match(String item, Pattern pattern, Optional<String> by) implements MatchStep {}
  }
}
