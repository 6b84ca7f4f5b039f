package dev.lanes.cli;

import dev.lanes.GenerationOptions;
import dev.lanes.context.ContextPolicy;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** The options that say how text is generated. */
final class SamplingOptions {
  @Option(names = "--max-tokens", paramLabel = "N", defaultValue = "256", description = "The most tokens to make (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(names = "--temperature", paramLabel = "T", defaultValue = "0", description = "0 takes the likeliest token (the default).")
  private double temperature;

  @Option(names = "--top-k", paramLabel = "K", defaultValue = "0", description = "Draw from the K likeliest tokens only; 0 for all.")
  private int topK;

  @Option(names = "--top-p", paramLabel = "P", defaultValue = "1", description = "Draw from the likeliest tokens that together reach P.")
  private double topP;

  @Option(names = "--min-p", paramLabel = "P", defaultValue = "0",
      description = "Draw from tokens with at least P times the likeliest token's probability.")
  private double minP;

  @Option(names = "--repetition-penalty", paramLabel = "R", defaultValue = "1", description = "Above 1 discourages repetition.")
  private double repetitionPenalty;

  @Option(names = "--seed", paramLabel = "S", defaultValue = "0", description = "The same seed gives the same text.")
  private long seed;

  @Option(names = "--stop", paramLabel = "TEXT", description = "Ends the output before TEXT; may be given several times.")
  private List<String> stop = new ArrayList<>();

  @Option(names = "--ignore-eos", description = "End tokens are tokens like any other.")
  private boolean ignoreEos;

  @Option(names = "--policy", paramLabel = "POLICY", defaultValue = "reject",
      description = "What happens when the context is full: reject, truncate-oldest[:KEEP], truncate-newest, truncate-middle, "
          + "sliding:WINDOW, sinks:SINKS,WINDOW (default: ${DEFAULT-VALUE}).")
  private String policy;

  @Option(names = "--logprobs", paramLabel = "K", description = "Report each token's log-probability and the K likeliest (with --json).")
  private Integer logProbabilities;

  GenerationOptions options() {
    GenerationOptions.Builder options = GenerationOptions.builder().maxTokens(maxTokens).temperature(temperature).topK(topK).topP(topP)
        .minP(minP).repetitionPenalty(repetitionPenalty).seed(seed).stop(stop).ignoreEos(ignoreEos)
        .contextPolicy(ContextPolicy.parse(policy));
    if (logProbabilities != null) {
      options.logProbabilities(logProbabilities);
    }
    return options.build();
  }
}
