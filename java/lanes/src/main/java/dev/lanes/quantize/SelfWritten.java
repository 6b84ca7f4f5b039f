package dev.lanes.quantize;

import dev.lanes.backend.DType;
import dev.lanes.backend.Op;
import dev.lanes.backend.SampleRow;
import dev.lanes.cache.KvCache;
import dev.lanes.cache.SequencePages;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.StepBatch;
import dev.lanes.model.TransformerModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * What a model writes itself, drawn from its own distribution: text to calibrate on where there is none, as in LLM-QAT (Liu et al. 2023).
 * The first token is BOS where config.json names one; the second is drawn evenly from the vocabulary, so that windows differ.
 */
final class SelfWritten {
  private static final int SEQUENCES_AT_ONCE = 16;
  private static final long SEED = 1;

  private SelfWritten() {}

  /** So many windows of {@code length} tokens. */
  static List<int[]> windows(TransformerModel model, int count, int length) {
    List<int[]> all = new ArrayList<>();
    for (int begin = 0; begin < count; begin += SEQUENCES_AT_ONCE) {
      all.addAll(Arrays.asList(write(model, begin, Math.min(SEQUENCES_AT_ONCE, count - begin), length)));
    }
    return all;
  }

  private static int[][] write(TransformerModel model, int first, int count, int length) {
    ModelConfig config = model.config();
    SplittableRandom random = new SplittableRandom(SEED + first);
    int[][] windows = new int[count][length];
    int given = config.tokens().bos().isPresent() ? 2 : 1;
    for (int[] window : windows) {
      window[0] = config.tokens().bos().orElse(0);
      window[given - 1] = random.nextInt(config.vocabSize());
    }
    KvCache.Options options = KvCache.Options.defaults().withPrefixReuse(false);
    try (KvCache cache = new KvCache(model.backend(), model.kvSpec(count * KvCache.pagesFor(length), DType.F32), options)) {
      List<SequencePages> pages = IntStream.range(0, count).mapToObj(i -> cache.sequence()).toList();
      int[] chosen = new int[count];
      for (int position = 0; position + 1 < length; position++) {
        int at = position;
        SampleRow[] rows = IntStream.range(0, count).mapToObj(i -> new SampleRow(1, 0, 1, 0, 1, SEED + first + i, at, new int[0]))
            .toArray(SampleRow[]::new);
        var output = model.forward(step(cache, pages, windows, position));
        if (position + 1 >= given) {
          model.backend().sample(new Op.Sample(output.logits(), rows, chosen, null));
          for (int i = 0; i < count; i++) {
            windows[i][position + 1] = chosen[i];
          }
        }
      }
      pages.forEach(SequencePages::close);
    }
    return windows;
  }

  /** One token of each sequence. */
  private static StepBatch step(KvCache cache, List<SequencePages> pages, int[][] windows, int position) {
    int count = windows.length;
    long[] slots = new long[count];
    long[] positions = new long[count];
    long[] keys = new long[count];
    Arrays.fill(positions, position);
    Arrays.fill(keys, position + 1);
    for (int i = 0; i < count; i++) {
      pages.get(i).reserve(1);
      pages.get(i).slots(position, 1, slots, i);
    }
    int[] tokens = Arrays.stream(windows).mapToInt(window -> window[position]).toArray();
    Op.Ragged ragged = new Op.Ragged(IntStream.rangeClosed(0, count).asLongStream().toArray(), keys,
        pages.stream().map(SequencePages::pageTable).toArray(int[][]::new), new long[count], new long[count]);
    return new StepBatch(tokens, positions, null, cache.pages(), slots, ragged, IntStream.range(0, count).toArray(),
        StepBatch.Hidden.NONE);
  }
}
