package dev.lanes.needle;

import dev.lanes.ChatMessage;
import dev.lanes.ChatOptions;
import dev.lanes.EmbeddingOptions;
import dev.lanes.FinishReason;
import dev.lanes.Generation;
import dev.lanes.GenerationOptions;
import dev.lanes.GenerationStats;
import dev.lanes.GenerationStream;
import dev.lanes.LanguageModel;
import dev.lanes.MemoryFootprint;
import dev.lanes.ModelInfo;
import dev.lanes.Perplexity;
import dev.lanes.PerplexityOptions;
import dev.lanes.TinyCheckpoint;
import dev.lanes.backend.BackendInfo;
import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import dev.lanes.context.ContextLimits;
import dev.lanes.context.ContextPlan;
import dev.lanes.format.ModelConfig;
import dev.lanes.token.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A model that answers whenever the needle is among the tokens that the context policy leaves visible, and never otherwise. */
class PerfectReader implements LanguageModel {
  private static final Pattern ASKED = Pattern.compile("(?:The|What is the) secret number of ([a-z ]+)(?: is$|\\?)");

  final List<int[]> prompts = new ArrayList<>();
  private final WordTokenizer tokenizer = new WordTokenizer();
  private final ModelInfo info;
  private final int limit;

  PerfectReader(Path directory, int limit, boolean chatTemplate) {
    TinyCheckpoint.llama(directory, 1);
    this.limit = limit;
    info = new ModelInfo(directory, ModelConfig.load(directory), false, true, chatTemplate, limit, new MemoryFootprint("memory", 0, 0, 0, 0, 0, limit, 0),
        new BackendInfo("fake", "", "none", 1, false, "", "a test", Map.of()), Compute.EXACT, DType.F32);
  }

  @Override
  public CompletableFuture<Generation> submit(int[] promptIds, GenerationOptions options) {
    ContextPlan plan = ContextPlan.of(options.contextPolicy(), new ContextLimits(options.contextLength().orElse(limit), limit, true),
        promptIds.length, options.maxTokens());
    prompts.add(promptIds);
    int[] kept = plan.keep(promptIds);
    int[] visible = kept;
    if (plan.window() > 0 && kept.length > plan.sinks() + plan.window()) {
      visible = Arrays.copyOf(kept, plan.sinks() + plan.window());
      System.arraycopy(kept, kept.length - plan.window(), visible, plan.sinks(), plan.window());
    }
    String text = answer(tokenizer.decode(visible, false));
    return CompletableFuture.completedFuture(new Generation(text, promptIds, new int[0], FinishReason.LENGTH, Optional.empty(),
        plan.report(kept.length), List.of(), new GenerationStats(kept.length, 0, 0, 0, 0, 0, 0)));
  }

  private static String answer(String visible) {
    String key = null;
    for (Matcher asked = ASKED.matcher(visible); asked.find();) {
      key = asked.group(1);
    }
    Matcher needle = Pattern.compile("The secret number of " + key + " is ([0-9]{4})\\.").matcher(visible);
    return key != null && needle.find() ? " " + needle.group(1) + ". And" : " nowhere";
  }

  @Override
  public String renderChat(List<ChatMessage> messages, ChatOptions options) {
    return "<user>" + messages.get(0).content() + "<assistant>";
  }

  @Override
  public Optional<Tokenizer> tokenizer() {
    return Optional.of(tokenizer);
  }

  @Override
  public ModelInfo info() {
    return info;
  }

  @Override
  public void close() {}

  @Override
  public Generation generate(String prompt, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Generation generate(int[] promptIds, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public GenerationStream stream(String prompt, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public GenerationStream stream(int[] promptIds, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<Generation> submit(String prompt, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<Generation> generateAll(List<String> prompts, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public GenerationStream streamChat(List<ChatMessage> messages, ChatOptions chat, GenerationOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int[] chatIds(List<ChatMessage> messages, ChatOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<float[]> embed(List<String> texts, EmbeddingOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public float[] embed(int[] ids, EmbeddingOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public float[][] logits(int[] ids) {
    throw new UnsupportedOperationException();
  }

  @Override
  public float[] logProbabilities(int[] ids) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Perplexity perplexity(List<String> texts, PerplexityOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Perplexity perplexity(int[] ids, PerplexityOptions options) {
    throw new UnsupportedOperationException();
  }

  @Override
  public float[][] hiddenStates(int[] ids) {
    throw new UnsupportedOperationException();
  }

  @Override
  public float[][][] layerStates(int[] ids) {
    throw new UnsupportedOperationException();
  }
}
