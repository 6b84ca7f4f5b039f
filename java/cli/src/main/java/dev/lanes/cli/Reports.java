package dev.lanes.cli;

import dev.lanes.Generation;
import dev.lanes.GenerationStats;
import dev.lanes.TokenLogProbability;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A finished generation, as JSON and as remarks. */
final class Reports {
  private Reports() {}

  static Map<String, Object> json(Generation generation) {
    GenerationStats stats = generation.stats();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("text", generation.text());
    json.put("promptIds", generation.promptIds());
    json.put("outputIds", generation.outputIds());
    json.put("finishReason", reason(generation));
    generation.stopText().ifPresent(stop -> json.put("stopText", stop));
    json.put("policy", generation.context().policy().text());
    json.put("contextLimit", generation.context().limit());
    json.put("droppedTokens", generation.droppedTokens());
    json.put("droppedRanges", generation.context().dropped().stream().map(range -> new long[] {range.begin(), range.end()}).toList());
    json.put("promptTokens", stats.promptTokens());
    json.put("reusedTokens", stats.reusedTokens());
    json.put("outputTokens", stats.outputTokens());
    json.put("prefillSeconds", stats.prefillSeconds());
    json.put("decodeSeconds", stats.decodeSeconds());
    json.put("prefillTokensPerSecond", stats.prefillTokensPerSecond());
    json.put("decodeTokensPerSecond", stats.decodeTokensPerSecond());
    json.put("peakNativeBytes", stats.peakNativeBytes());
    if (!generation.logProbabilities().isEmpty()) {
      json.put("logProbabilities", generation.logProbabilities().stream().map(Reports::logProbability).toList());
    }
    return json;
  }

  private static Map<String, Object> logProbability(TokenLogProbability token) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("id", token.tokenId());
    json.put("logProbability", token.logProbability());
    List<TokenLogProbability> top = token.top();
    if (!top.isEmpty()) {
      json.put("top", top.stream().map(Reports::logProbability).toList());
    }
    return json;
  }

  static void remarks(Console console, Generation generation) {
    GenerationStats stats = generation.stats();
    console.remark("prompt %d tokens at %.1f tokens/s; output %d tokens at %.1f tokens/s; stopped: %s; native memory peak %s",
        stats.promptTokens(), stats.prefillTokensPerSecond(), stats.outputTokens(), stats.decodeTokensPerSecond(),
        reason(generation).replace('_', ' '), Console.bytes(stats.peakNativeBytes()));
    if (generation.droppedTokens() > 0) {
      StringBuilder ranges = new StringBuilder();
      generation.context().dropped().forEach(range -> ranges.append(" [").append(range.begin()).append(", ").append(range.end()).append(')'));
      console.remark("context of %d tokens, policy %s: dropped %d tokens:%s", generation.context().limit(),
          generation.context().policy().text(), generation.droppedTokens(), ranges);
    }
  }

  private static String reason(Generation generation) {
    return generation.finishReason().name().toLowerCase(Locale.ROOT);
  }
}
