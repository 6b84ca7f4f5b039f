package dev.lanes.model;

import dev.lanes.backend.Backend;
import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.cache.KvCache;
import dev.lanes.cache.PrefixVariant;
import dev.lanes.cache.SequencePages;
import dev.lanes.format.Checkpoint;
import dev.lanes.format.ModelConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A model with a cache, and steps made by hand. Pages are poisoned before use: whatever reads old content gets NaN. */
final class ModelRun implements AutoCloseable {
  final TransformerModel model;
  final KvCache cache;

  ModelRun(Path directory, Backend backend, ModelOptions options, int pages, DType kvType) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      model = TransformerModel.load(checkpoint, ModelConfig.load(directory), backend, options, ProgressListener.NONE);
    }
    cache = new KvCache(backend, model.kvSpec(pages, kvType), KvCache.Options.defaults().withPoison(true));
  }

  ModelRun(Path directory, Backend backend) {
    this(directory, backend, ModelOptions.defaults(), 64, DType.F32);
  }

  /** A sequence with its tokens so far; those below {@code done} have gone through the model. */
  static final class Lane implements AutoCloseable {
    final SequencePages pages;
    final PrefixVariant variant;
    int[] tokens;
    int done;

    Lane(SequencePages pages, int[] tokens, PrefixVariant variant) {
      this.pages = pages;
      this.tokens = tokens;
      this.variant = variant;
      this.done = pages.length();
    }

    void append(int token) {
      tokens = Arrays.copyOf(tokens, tokens.length + 1);
      tokens[tokens.length - 1] = token;
    }

    int waiting() {
      return tokens.length - done;
    }

    @Override
    public void close() {
      pages.close();
    }
  }

  /**
   * The share of a sequence in a step: its next {@code count} tokens.
   *
   * @param reNumber whether positions are those inside the cache (sinks and window), not those in the text
   */
  record Share(Lane lane, int count, boolean reNumber) {}

  /** A sequence that shares nothing. */
  Lane lane(int... tokens) {
    return new Lane(cache.sequence(), tokens, PrefixVariant.FULL);
  }

  /** A sequence that begins with what earlier ones left. */
  Lane lane(PrefixVariant variant, int... tokens) {
    return new Lane(cache.sequence(tokens, variant), tokens, variant);
  }

  /** Runs the next tokens of several sequences in one step, with logits for all of them. */
  StepOutput step(StepBatch.Hidden hidden, Share... shares) {
    return step(hidden, true, shares);
  }

  /** As above; with {@code allLogits} false for the last token of each sequence only. */
  StepOutput step(StepBatch.Hidden hidden, boolean allLogits, Share... shares) {
    int total = Arrays.stream(shares).mapToInt(Share::count).sum();
    int[] tokens = new int[total];
    long[] positions = new long[total];
    long[] sinkPositions = new long[total];
    long[] slots = new long[total];
    long[] queryBegin = new long[shares.length + 1];
    long[] keyCount = new long[shares.length];
    int[][] pageTable = new int[shares.length][];
    long[] window = new long[shares.length];
    long[] sinks = new long[shares.length];
    List<Integer> rows = new ArrayList<>();
    int at = 0;
    for (int s = 0; s < shares.length; s++) {
      Lane lane = shares[s].lane;
      int count = shares[s].count;
      lane.pages.reserve(lane.done + count - lane.pages.length());
      lane.pages.slots(lane.done, count, slots, at);
      for (int i = 0; i < count; i++, at++) {
        tokens[at] = lane.tokens[lane.done + i];
        positions[at] = lane.done + i;
        sinkPositions[at] = Math.min(positions[at], shares[s].reNumber ? lane.variant.sinks() + lane.variant.window() - 1 : positions[at]);
        if (allLogits || i == count - 1) {
          rows.add(at);
        }
      }
      lane.done += count;
      queryBegin[s + 1] = at;
      keyCount[s] = lane.done;
      pageTable[s] = lane.pages.pageTable();
      window[s] = lane.variant.window();
      sinks[s] = lane.variant.sinks();
    }
    boolean reNumber = Arrays.stream(shares).anyMatch(Share::reNumber);
    return model.forward(new StepBatch(tokens, positions, reNumber ? sinkPositions : null, cache.pages(), slots,
        new Op.Ragged(queryBegin, keyCount, pageTable, window, sinks),
        model.hasLogits() ? rows.stream().mapToInt(Integer::intValue).toArray() : new int[0], hidden));
  }

  /** Logits of all waiting tokens, in chunks of at most so many: [tokens][vocabulary]. */
  float[][] logits(Lane lane, int chunk) {
    List<float[]> all = new ArrayList<>();
    while (lane.waiting() > 0) {
      int count = Math.min(chunk, lane.waiting());
      StepOutput output = step(StepBatch.Hidden.NONE, new Share(lane, count, false));
      all.addAll(Arrays.asList(SharedModels.rows(output.logits().toArray(), count)));
    }
    return all.toArray(new float[0][]);
  }

  /** Logits of every position of a prompt, run alone in one piece. */
  float[][] logits(int... prompt) {
    try (Lane lane = lane(prompt)) {
      return logits(lane, Integer.MAX_VALUE);
    }
  }

  /** Embedding and the output of every layer, as {@link StepOutput#layers} has them. */
  List<float[]> hidden(int... prompt) {
    try (Lane lane = lane(prompt)) {
      return step(StepBatch.Hidden.ALL, new Share(lane, prompt.length, false)).layers();
    }
  }

  /** The most likely continuation, token by token. */
  int[] greedy(int count, int... prompt) {
    try (Lane lane = lane(prompt)) {
      for (int i = 0; i < count; i++) {
        float[] logits = step(StepBatch.Hidden.NONE, false, new Share(lane, lane.waiting(), false)).logits().toArray();
        lane.append(argmax(logits));
      }
      return Arrays.copyOfRange(lane.tokens, prompt.length, prompt.length + count);
    }
  }

  static int argmax(float[] values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      best = values[i] > values[best] ? i : best;
    }
    return best;
  }

  @Override
  public void close() {
    cache.checkIntegrity();
    cache.close();
    model.close();
  }
}
