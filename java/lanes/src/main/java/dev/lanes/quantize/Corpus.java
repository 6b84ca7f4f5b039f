package dev.lanes.quantize;

import dev.lanes.error.UnsupportedRequestException;
import dev.lanes.format.ModelConfig;
import dev.lanes.model.TransformerModel;
import dev.lanes.token.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;

/**
 * Windows of tokens for three purposes that must not mix. Each window begins with BOS where config.json names one.
 *
 * @param description what the windows are, in words
 * @param calibration windows to take activations from
 * @param selection windows to choose float layers by
 * @param evaluation windows to judge the result by, for each text
 */
record Corpus(String description, List<int[]> calibration, List<int[]> selection, List<List<int[]>> evaluation) {
  /** The shortest piece of text that is worth a window. */
  private static final int SHORTEST = 4;

  List<int[]> all() {
    List<int[]> all = new ArrayList<>(calibration);
    all.addAll(selection);
    evaluation.forEach(all::addAll);
    return all;
  }

  /**
   * Cuts texts: calibration from the beginning, selection from what follows, evaluation from the end, the same of each text. A text that is
   * too short is divided in the proportion asked for.
   */
  static Corpus ofTexts(Path directory, ModelConfig config, QuantizeOptions options) {
    int window = Math.min(options.window(), config.maxPositions());
    List<int[]> calibration = new ArrayList<>();
    List<int[]> selection = new ArrayList<>();
    List<List<int[]>> evaluation = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(directory).orElseThrow(() -> new UnsupportedRequestException(
        directory + " has no tokenizer.json; texts cannot be used, and without any the model calibrates on what it writes itself"))) {
      int count = options.texts().size();
      for (int i = 0; i < count; i++) {
        int[] ids = tokenizer.encode(options.texts().get(i), false);
        long forCalibration = Math.max(SHORTEST, options.calibrationTokens() / count);
        long forEvaluation = Math.max(SHORTEST, options.evaluationTokens() / count);
        long wanted = forCalibration + 2 * forEvaluation;
        if (ids.length < wanted) {
          forCalibration = ids.length * forCalibration / wanted;
          forEvaluation = ids.length * forEvaluation / wanted;
        }
        if (forCalibration < SHORTEST || forEvaluation < SHORTEST) {
          throw new IllegalArgumentException("text " + (i + 1) + " has " + ids.length
              + " tokens: too few to calibrate on one part and judge by another");
        }
        int first = (int) forCalibration;
        int last = (int) forEvaluation;
        calibration.addAll(windows(Arrays.copyOf(ids, first), window, config.tokens().bos()));
        selection.addAll(windows(Arrays.copyOfRange(ids, first, first + last), window, config.tokens().bos()));
        evaluation.add(windows(Arrays.copyOfRange(ids, ids.length - last, ids.length), window, config.tokens().bos()));
      }
    }
    return new Corpus(options.texts().size() + " texts, " + tokens(calibration) + " tokens", calibration, selection, evaluation);
  }

  /** Windows that the model writes itself. */
  static Corpus selfWritten(TransformerModel model, QuantizeOptions options) {
    int window = Math.min(options.window(), model.config().maxPositions());
    int first = Math.max(1, options.calibrationTokens() / window);
    int last = Math.max(1, options.evaluationTokens() / window);
    List<int[]> all = SelfWritten.windows(model, first + 2 * last, window);
    return new Corpus("no text given: " + (long) first * window + " tokens that the model wrote itself", all.subList(0, first),
        all.subList(first, first + last), List.of(all.subList(first + last, first + 2 * last)));
  }

  private static long tokens(List<int[]> windows) {
    return windows.stream().mapToLong(w -> w.length).sum();
  }

  private static List<int[]> windows(int[] ids, int window, OptionalInt bos) {
    int start = bos.isPresent() ? 1 : 0;
    List<int[]> windows = new ArrayList<>();
    for (int begin = 0; begin < ids.length; begin += window - start) {
      int[] part = new int[Math.min(window, ids.length - begin + start)];
      System.arraycopy(ids, begin, part, start, part.length - start);
      bos.ifPresent(id -> part[0] = id);
      if (part.length >= SHORTEST || windows.isEmpty()) {
        windows.add(part);
      }
    }
    return windows;
  }
}
