package dev.lanes;

import dev.lanes.backend.Forgotten;
import dev.lanes.context.ContextLimits;
import dev.lanes.context.ContextPlan;
import dev.lanes.engine.Engine;
import dev.lanes.engine.ForwardRequest;
import dev.lanes.engine.GenerationRequest;
import dev.lanes.engine.ModelProfile;
import dev.lanes.engine.Sampling;
import dev.lanes.error.ContextOverflowException;
import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.format.ModelConfig;
import dev.lanes.token.IncrementalDecoder;
import dev.lanes.token.Tokenizer;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.IntStream;

/** The one kind of {@link LanguageModel} there is: weights, cache and engine in this process. */
final class LoadedModel implements LanguageModel {
  /** Tokens of the prompt that the output's decoder sees first, so that it spells the output as a continuation. */
  private static final int DECODER_CONTEXT = 16;

  private final ModelResources resources;
  private final Cleaner.Cleanable cleanable;
  private final ModelInfo info;
  private final ModelConfig config;
  private final int[] endTokens;
  private final ChatRenderer chat;
  private volatile boolean closed;

  LoadedModel(ModelResources resources, ModelInfo info, int[] endTokens, ChatRenderer chat) {
    this.resources = resources;
    this.info = info;
    this.config = info.config();
    this.endTokens = endTokens;
    this.chat = chat;
    cleanable = Forgotten.watch(this, resources);
  }

  @Override
  public Generation generate(String prompt, GenerationOptions options) {
    return start(textIds(prompt, "prompt"), options, false).result();
  }

  @Override
  public Generation generate(int[] promptIds, GenerationOptions options) {
    return start(Check.ids("promptIds", promptIds), options, false).result();
  }

  @Override
  public GenerationStream stream(String prompt, GenerationOptions options) {
    return start(textIds(prompt, "prompt"), options, true);
  }

  @Override
  public GenerationStream stream(int[] promptIds, GenerationOptions options) {
    return start(Check.ids("promptIds", promptIds), options, true);
  }

  @Override
  public CompletableFuture<Generation> submit(String prompt, GenerationOptions options) {
    return start(textIds(prompt, "prompt"), options, false).future();
  }

  @Override
  public CompletableFuture<Generation> submit(int[] promptIds, GenerationOptions options) {
    return start(Check.ids("promptIds", promptIds), options, false).future();
  }

  @Override
  public List<Generation> generateAll(List<String> prompts, GenerationOptions options) {
    Objects.requireNonNull(prompts, "prompts is null");
    List<ModelStream> streams = new ArrayList<>(prompts.size());
    try {
      for (int i = 0; i < prompts.size(); i++) {
        streams.add(start(textIds(prompts.get(i), "prompts[" + i + "]"), options, false));
      }
      return streams.stream().map(ModelStream::result).toList();
    } finally {
      streams.forEach(ModelStream::close);
    }
  }

  @Override
  public GenerationStream streamChat(List<ChatMessage> messages, ChatOptions chatOptions, GenerationOptions options) {
    return start(chatIds(messages, chatOptions), options, true);
  }

  @Override
  public String renderChat(List<ChatMessage> messages, ChatOptions options) {
    requireOpen();
    return chat.render(messages, options);
  }

  @Override
  public int[] chatIds(List<ChatMessage> messages, ChatOptions options) {
    String text = renderChat(messages, options);
    return requireTokenizer().encode(text, false);
  }

  @Override
  public List<float[]> embed(List<String> texts, EmbeddingOptions options) {
    Objects.requireNonNull(texts, "texts is null");
    Objects.requireNonNull(options, "options is null");
    List<int[]> ids = IntStream.range(0, texts.size()).mapToObj(i -> textIds(texts.get(i), "texts[" + i + "]")).toList();
    return embedAll(ids, options);
  }

  @Override
  public float[] embed(int[] ids, EmbeddingOptions options) {
    Objects.requireNonNull(options, "options is null");
    return embedAll(List.of(Check.ids("ids", ids)), options).get(0);
  }

  private List<float[]> embedAll(List<int[]> texts, EmbeddingOptions options) {
    texts.forEach(this::requireForward);
    List<ForwardRequest> requests = texts.stream()
        .map(ids -> new ForwardRequest(ids, null, new float[ids.length][config.hiddenSize()], null)).toList();
    run(requests);
    return requests.stream().map(request -> Pool.apply(request.hidden(), options)).toList();
  }

  @Override
  public float[][] logits(int[] ids) {
    int[] checked = Check.ids("ids", ids);
    requireForward(checked);
    requireLogits();
    ForwardRequest request = new ForwardRequest(checked, new float[checked.length][config.vocabSize()], null, null);
    run(List.of(request));
    return request.logits();
  }

  @Override
  public float[] logProbabilities(int[] ids) {
    int[] checked = Check.ids("ids", ids);
    requireForward(checked);
    requireLogits();
    float[] all = new float[checked.length];
    all[0] = Float.NaN;
    if (checked.length > 1) {
      int[] tokens = Arrays.copyOf(checked, checked.length - 1);
      float[] next = new float[tokens.length];
      run(List.of(new ForwardRequest(tokens, null, null, null,
          new ForwardRequest.Scores(0, Arrays.copyOfRange(checked, 1, checked.length), next))));
      System.arraycopy(next, 0, all, 1, next.length);
    }
    return all;
  }

  @Override
  public Perplexity perplexity(List<String> texts, PerplexityOptions options) {
    Objects.requireNonNull(texts, "texts is null");
    Objects.requireNonNull(options, "options is null");
    requireOpen();
    for (int i = 0; i < texts.size(); i++) {
      Objects.requireNonNull(texts.get(i), "texts[" + i + "] is null");
    }
    Tokenizer encoder = requireTokenizer();
    return perplexityOf(texts.stream().map(text -> encoder.encode(text, !options.bos())).toList(), options);
  }

  @Override
  public Perplexity perplexity(int[] ids, PerplexityOptions options) {
    return perplexityOf(List.of(Check.ids("ids", ids)), options);
  }

  private Perplexity perplexityOf(List<int[]> texts, PerplexityOptions options) {
    Objects.requireNonNull(options, "options is null");
    requireOpen();
    requireLogits();
    texts.stream().filter(ids -> ids.length > 0).forEach(this::requireIds);
    return new PerplexityRun(options, info, request -> run(List.of(request))).run(texts);
  }

  @Override
  public float[][] hiddenStates(int[] ids) {
    int[] checked = Check.ids("ids", ids);
    requireForward(checked);
    ForwardRequest request = new ForwardRequest(checked, null, new float[checked.length][config.hiddenSize()], null);
    run(List.of(request));
    return request.hidden();
  }

  @Override
  public float[][][] layerStates(int[] ids) {
    int[] checked = Check.ids("ids", ids);
    requireForward(checked);
    ForwardRequest request =
        new ForwardRequest(checked, null, null, new float[config.layers() + 1][checked.length][config.hiddenSize()]);
    run(List.of(request));
    return request.layers();
  }

  @Override
  public Optional<Tokenizer> tokenizer() {
    requireOpen();
    return Optional.ofNullable(resources.tokenizer);
  }

  @Override
  public ModelInfo info() {
    return info;
  }

  @Override
  public Optional<ModelProfile> profile() {
    requireOpen();
    return resources.engine.profile();
  }

  @Override
  public void resetProfile() {
    requireOpen();
    resources.engine.resetProfile();
  }

  @Override
  public void close() {
    closed = true;
    try {
      resources.release();
    } finally {
      cleanable.clean();
    }
  }

  private ModelStream start(int[] promptIds, GenerationOptions options, boolean keepPieces) {
    Objects.requireNonNull(options, "options is null");
    requireOpen();
    if (info.encoder()) {
      throw new UnsupportedRequestException(config.architecture() + " is an encoder and does not generate; ask it for embeddings");
    }
    requireIds(promptIds);
    if (!options.stop().isEmpty() && resources.tokenizer == null) {
      throw new UnsupportedRequestException("stop strings need a tokenizer, but " + info.directory() + " has no tokenizer.json");
    }
    int limit = options.contextLength().orElse(info.contextLength());
    if (limit > info.contextLength()) {
      throw new IllegalArgumentException("contextLength is " + limit + ", expected at most " + info.contextLength()
          + ", the context the model was loaded with");
    }
    ContextPlan plan = ContextPlan.of(options.contextPolicy(), new ContextLimits(limit, config.maxPositions(), config.rope().isPresent()),
        promptIds.length, options.maxTokens());
    int[] kept = plan.keep(promptIds);
    GenerationRequest request = new GenerationRequest(kept, plan, options.maxTokens(), sampling(options), endTokens(options),
        options.stop(), decoder(kept));
    ModelStream stream = new ModelStream(this, promptIds, keepPieces);
    stream.started(resources.engine.generate(request, stream));
    return stream;
  }

  private static Sampling sampling(GenerationOptions options) {
    return new Sampling(options.temperature(), options.topK(), options.topP(), options.minP(), options.repetitionPenalty(),
        options.seed(), options.logProbabilities().orElse(-1));
  }

  private int[] endTokens(GenerationOptions options) {
    return IntStream.concat(options.ignoreEos() ? IntStream.empty() : IntStream.of(endTokens), IntStream.of(options.stopTokenIds()))
        .toArray();
  }

  private IncrementalDecoder decoder(int[] prompt) {
    if (resources.tokenizer == null) {
      return null;
    }
    IncrementalDecoder decoder = resources.tokenizer.incrementalDecoder(true);
    for (int i = Math.max(0, prompt.length - DECODER_CONTEXT); i < prompt.length; i++) {
      decoder.append(prompt[i]);
    }
    return decoder;
  }

  /** Runs the requests side by side and waits for all. */
  private void run(List<ForwardRequest> requests) {
    Engine engine = resources.engine;
    List<CompletableFuture<Void>> pending = requests.stream().map(engine::forward).toList();
    RuntimeException failure = null;
    for (CompletableFuture<Void> one : pending) {
      try {
        one.join();
      } catch (CancellationException e) {
        failure = new IllegalStateException("the model was closed");
      } catch (CompletionException e) {
        failure = e.getCause() instanceof CancellationException ? new IllegalStateException("the model was closed")
            : e.getCause() instanceof RuntimeException runtime ? runtime : e;
      }
    }
    Reference.reachabilityFence(this);
    if (failure != null) {
      throw failure;
    }
  }

  private int[] textIds(String text, String name) {
    Objects.requireNonNull(text, name + " is null");
    requireOpen();
    return requireTokenizer().encode(text, true);
  }

  private Tokenizer requireTokenizer() {
    if (resources.tokenizer == null) {
      throw new UnsupportedRequestException(info.directory() + " has no tokenizer.json; pass token ids instead of text");
    }
    return resources.tokenizer;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the model is closed");
    }
  }

  private void requireIds(int[] ids) {
    if (ids.length == 0) {
      throw new IllegalArgumentException(
          "there are no tokens to start from: the ids are empty, or the text is and the tokenizer adds none");
    }
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] >= config.vocabSize()) {
        throw new IllegalArgumentException("token " + i + " has the id " + ids[i] + ", expected less than " + config.vocabSize()
            + ", the size of the model's vocabulary");
      }
    }
  }

  private void requireLogits() {
    if (info.encoder()) {
      throw new UnsupportedRequestException(config.architecture() + " has no LM head and gives no logits; ask for hidden states");
    }
  }

  private void requireForward(int[] ids) {
    requireOpen();
    requireIds(ids);
    if (ids.length > info.contextLength()) {
      throw new ContextOverflowException(ids.length, info.contextLength());
    }
  }
}
