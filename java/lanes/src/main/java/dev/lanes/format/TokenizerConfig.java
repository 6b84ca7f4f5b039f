package dev.lanes.format;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * tokenizer_config.json with its companions chat_template.jinja and special_tokens_map.json. A directory without any of them gives an
 * empty configuration.
 *
 * @param tokenizerClass the class name, such as {@code LlamaTokenizer}, where given
 * @param chatTemplates Jinja sources by name; the usual one is called {@code default}
 * @param specialTokens text of the special tokens by role: {@code bos_token}, {@code eos_token}, {@code unk_token}, {@code pad_token} …
 * @param addedTokens tokens of {@code added_tokens_decoder} by id
 * @param additionalSpecialTokens tokens of {@code additional_special_tokens}
 * @param addBosToken whether encoding puts the BOS token first, where given
 * @param addEosToken whether encoding puts the EOS token last, where given
 * @param cleanUpTokenizationSpaces whether decoding removes the spaces before punctuation, where given
 * @param modelMaxLength the longest input in tokens; empty where unlimited
 */
public record TokenizerConfig(
    Optional<String> tokenizerClass,
    Map<String, String> chatTemplates,
    Map<String, String> specialTokens,
    Map<Integer, AddedToken> addedTokens,
    List<AddedToken> additionalSpecialTokens,
    Optional<Boolean> addBosToken,
    Optional<Boolean> addEosToken,
    Optional<Boolean> cleanUpTokenizationSpaces,
    OptionalLong modelMaxLength) {

  /** The name of the template that is meant where none is named. */
  public static final String DEFAULT_TEMPLATE = "default";

  public TokenizerConfig {
    chatTemplates = Map.copyOf(chatTemplates);
    specialTokens = Map.copyOf(specialTokens);
    addedTokens = Map.copyOf(addedTokens);
    additionalSpecialTokens = List.copyOf(additionalSpecialTokens);
  }

  /**
   * Reads the tokenizer's configuration in a model directory.
   *
   * @throws dev.lanes.error.InvalidModelException if a file is not JSON or a field has a value that cannot be
   */
  public static TokenizerConfig load(Path directory) {
    return new TokenizerConfigReader(directory).read();
  }

  /** The chat template called {@code default}, or the only one. */
  public Optional<String> chatTemplate() {
    if (chatTemplates.size() == 1) {
      return Optional.of(chatTemplates.values().iterator().next());
    }
    return chatTemplate(DEFAULT_TEMPLATE);
  }

  /** The chat template of this name ({@code tool_use}, {@code rag} …). */
  public Optional<String> chatTemplate(String name) {
    return Optional.ofNullable(chatTemplates.get(name));
  }

  /** Text of the special token in this role ({@code bos_token} …). */
  public Optional<String> specialToken(String role) {
    return Optional.ofNullable(specialTokens.get(role));
  }

  /**
   * A token outside of the vocabulary's ordinary entries.
   *
   * @param content its text
   * @param special whether decoding may skip it
   * @param normalized whether it is looked for in normalised text
   * @param lstrip whether it takes the white space on its left
   * @param rstrip whether it takes the white space on its right
   * @param singleWord whether it is found only as a whole word
   */
  public record AddedToken(String content, boolean special, boolean normalized, boolean lstrip, boolean rstrip, boolean singleWord) {}
}
