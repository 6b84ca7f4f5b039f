package dev.lanes.format;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * generation_config.json: how its authors generate with a model. What the file does not say is empty.
 *
 * @param bosTokenId begins a sequence
 * @param eosTokenIds each of these ends a generation; empty when the file names none
 * @param padTokenId fills batches
 * @param doSample false asks for greedy decoding
 * @param temperature divides the logits; at least 0
 * @param topK keep the k best tokens; 0 keeps all
 * @param topP keep the best tokens that together reach this probability, in (0, 1]
 * @param minP drop tokens less likely than this times the best one, in [0, 1]
 * @param repetitionPenalty above 1 makes tokens seen before less likely; above 0
 * @param maxLength limit of prompt and output together
 * @param maxNewTokens limit of the output
 */
public record GenerationConfig(
    OptionalInt bosTokenId,
    List<Integer> eosTokenIds,
    OptionalInt padTokenId,
    Optional<Boolean> doSample,
    OptionalDouble temperature,
    OptionalInt topK,
    OptionalDouble topP,
    OptionalDouble minP,
    OptionalDouble repetitionPenalty,
    OptionalInt maxLength,
    OptionalInt maxNewTokens) {

  private static final long MAX_BYTES = 4 << 20;

  public GenerationConfig {
    eosTokenIds = List.copyOf(eosTokenIds);
  }

  /**
   * Reads {@code generation_config.json} in a model directory; empty when there is none.
   *
   * @throws dev.lanes.error.InvalidModelException if it is not JSON or a field has a value that cannot be
   */
  public static Optional<GenerationConfig> load(Path directory) {
    Path file = directory.resolve("generation_config.json");
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    JsonFields fields = new JsonFields(file, Json.readObject(file, MAX_BYTES));
    return Optional.of(
        new GenerationConfig(
            fields.optionalInteger("bos_token_id", 0, Integer.MAX_VALUE),
            fields.integers("eos_token_id", 0, Integer.MAX_VALUE),
            // Early Llama exports write -1 for no padding.
            fields.optionalInteger("pad_token_id", -1, Integer.MAX_VALUE).stream().filter(id -> id >= 0).findFirst(),
            fields.optionalBool("do_sample"),
            fields.optionalNumber("temperature", 0, Double.MAX_VALUE, true),
            fields.optionalInteger("top_k", 0, Integer.MAX_VALUE),
            fields.optionalNumber("top_p", 0, 1, false),
            fields.optionalNumber("min_p", 0, 1, true),
            fields.optionalNumber("repetition_penalty", 0, Double.MAX_VALUE, false),
            fields.optionalInteger("max_length", 1, Integer.MAX_VALUE),
            fields.optionalInteger("max_new_tokens", 1, Integer.MAX_VALUE)));
  }
}
