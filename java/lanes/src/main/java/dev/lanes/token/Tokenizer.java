package dev.lanes.token;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Text to token ids and back. Safe for use by several threads at once. After {@link #close()} every method throws IllegalStateException.
 */
public interface Tokenizer extends AutoCloseable {

  /**
   * Reads {@code tokenizer.json} and its configuration in a model directory; empty when there is no tokenizer.json.
   *
   * @throws dev.lanes.error.InvalidModelException if a file is damaged
   */
  static Optional<Tokenizer> load(Path directory) {
    return HuggingFaceTokenizer.load(directory).map(tokenizer -> tokenizer);
  }

  /**
   * The ids of a text. Special tokens written out in the text ({@code <|im_end|>}) become their ids, as in Hugging Face; a lone
   * surrogate counts as U+FFFD. Nothing is truncated or padded.
   *
   * @param addSpecialTokens whether to add what the model expects around a text (BOS, [CLS] … [SEP]); false for rendered chat templates
   */
  int[] encode(String text, boolean addSpecialTokens);

  /**
   * The text of ids. Ids without a token give no text, as in Hugging Face.
   *
   * @param skipSpecialTokens whether special tokens are left out
   * @throws IllegalArgumentException if an id is negative
   */
  String decode(int[] ids, boolean skipSpecialTokens);

  /** A decoder that turns ids into text as they come, in whole characters. */
  IncrementalDecoder incrementalDecoder(boolean skipSpecialTokens);

  /** One more than the largest id, added tokens included. */
  int vocabularySize();

  /** The id of a token by its exact text in the vocabulary (byte-level and ▁ spelling, not plain text). */
  OptionalInt tokenId(String token);

  /** A token as the vocabulary spells it; empty for an id without a token. */
  Optional<String> tokenText(int id);

  /** Whether decoding may skip this id. */
  boolean isSpecial(int id);

  @Override
  void close();
}
