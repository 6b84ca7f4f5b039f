package dev.lanes;

import dev.lanes.engine.ModelProfile;
import dev.lanes.token.Tokenizer;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * A loaded model. Safe for use by several threads at once: requests of all of them run side by side in one batch, and the tokens of a
 * request do not depend on what runs beside it.
 *
 * <p>All methods throw {@link NullPointerException} or {@link IllegalArgumentException} for arguments that cannot be,
 * {@link IllegalStateException} after {@link #close()}, and
 * {@link dev.lanes.error.UnsupportedRequestException} for what this model cannot do: text without a tokenizer, chat without a template,
 * generation with an encoder, logits without an LM head. A prompt that does not fit the context throws
 * {@link dev.lanes.error.ContextOverflowException}, one that the cache could never hold
 * {@link dev.lanes.error.InsufficientMemoryException}, both before any work. A failure while it runs throws a
 * {@link dev.lanes.error.LanesException}.
 */
public interface LanguageModel extends AutoCloseable {

  /** Generates text after a prompt. */
  Generation generate(String prompt, GenerationOptions options);

  /** Generates tokens after a prompt of token ids; nothing is added to them. */
  Generation generate(int[] promptIds, GenerationOptions options);

  /** Generates with {@link GenerationOptions#defaults()}. */
  default Generation generate(String prompt) {
    return generate(prompt, GenerationOptions.defaults());
  }

  /**
   * Generates and hands each piece to {@code consumer} on this thread. What the consumer throws cancels the generation and is thrown
   * here.
   */
  default Generation generate(String prompt, GenerationOptions options, Consumer<? super Piece> consumer) {
    Objects.requireNonNull(consumer, "consumer is null");
    return Streams.drain(stream(prompt, options), consumer);
  }

  /** Like {@link #generate(String, GenerationOptions, Consumer)}, for token ids. */
  default Generation generate(int[] promptIds, GenerationOptions options, Consumer<? super Piece> consumer) {
    Objects.requireNonNull(consumer, "consumer is null");
    return Streams.drain(stream(promptIds, options), consumer);
  }

  /** Starts a generation and returns its pieces as they come. */
  GenerationStream stream(String prompt, GenerationOptions options);

  /** Like {@link #stream(String, GenerationOptions)}, for token ids. */
  GenerationStream stream(int[] promptIds, GenerationOptions options);

  /** Starts a generation. Cancelling the future cancels it. */
  CompletableFuture<Generation> submit(String prompt, GenerationOptions options);

  /** Like {@link #submit(String, GenerationOptions)}, for token ids. */
  CompletableFuture<Generation> submit(int[] promptIds, GenerationOptions options);

  /** Generates after many prompts side by side; results in the order of the prompts. The first failure cancels the others. */
  List<Generation> generateAll(List<String> prompts, GenerationOptions options);

  /** Answers a chat: renders the messages with the model's chat template and generates. */
  default Generation chat(List<ChatMessage> messages, GenerationOptions options) {
    try (GenerationStream stream = streamChat(messages, options)) {
      return stream.result();
    }
  }

  /** Starts to answer a chat and returns the pieces as they come. */
  default GenerationStream streamChat(List<ChatMessage> messages, GenerationOptions options) {
    return streamChat(messages, ChatOptions.defaults(), options);
  }

  /** Like {@link #streamChat(List, GenerationOptions)}, with tools or other variables for the template. */
  GenerationStream streamChat(List<ChatMessage> messages, ChatOptions chat, GenerationOptions options);

  /** The text that the model's chat template makes of messages. */
  String renderChat(List<ChatMessage> messages, ChatOptions options);

  /** The ids that {@link #chat} would start from. */
  int[] chatIds(List<ChatMessage> messages, ChatOptions options);

  /** [hidden]: one vector for a text, with {@link EmbeddingOptions#defaults()}. */
  default float[] embed(String text) {
    Objects.requireNonNull(text, "text is null");
    return embed(List.of(text), EmbeddingOptions.defaults()).get(0);
  }

  /** One vector [hidden] for each text, computed side by side. */
  List<float[]> embed(List<String> texts, EmbeddingOptions options);

  /** [hidden]: one vector for token ids; nothing is added to them. */
  float[] embed(int[] ids, EmbeddingOptions options);

  /** [tokens][vocabulary]: the logits at every position. */
  float[][] logits(int[] ids);

  /** [tokens]: the log-probability of each token given those before it; NaN for the first. */
  float[] logProbabilities(int[] ids);

  /**
   * Perplexity of texts, each encoded by itself. Unless {@link PerplexityOptions#bos()} asks for a BOS in each window, a text has the
   * special tokens that its tokenizer adds, and later windows begin in the middle of it as they are.
   *
   * @throws IllegalArgumentException if no text has two tokens, or a window is longer than the context
   * @throws dev.lanes.error.UnsupportedRequestException if the model has no LM head, no tokenizer, or no BOS though one is asked for
   */
  Perplexity perplexity(List<String> texts, PerplexityOptions options);

  /** Like {@link #perplexity(List, PerplexityOptions)}, for one text's token ids. */
  Perplexity perplexity(int[] ids, PerplexityOptions options);

  /** [tokens][hidden]: the hidden state of every position after the last layer and its norm. */
  float[][] hiddenStates(int[] ids);

  /** [layers + 1][tokens][hidden]: the embedding, then each layer's output, the last after the final norm. */
  float[][][] layerStates(int[] ids);

  /** The tokenizer; empty when the model's directory has none. It belongs to the model. */
  Optional<Tokenizer> tokenizer();

  ModelInfo info();

  /**
   * Where the time of this model's steps went, op by op, since it was loaded or since {@link #resetProfile}; empty unless it was loaded
   * with {@link LoadOptions#profile()}.
   */
  default Optional<ModelProfile> profile() {
    return Optional.empty();
  }

  /** Forgets the steps so far; does nothing without {@link LoadOptions#profile()}. */
  default void resetProfile() {}

  /**
   * Cancels what runs, waits until it has stopped, and gives all memory back. Closing twice does nothing; streams of a closed model end
   * with {@link FinishReason#CANCELLED}.
   */
  @Override
  void close();
}
