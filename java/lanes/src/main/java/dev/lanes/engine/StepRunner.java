package dev.lanes.engine;

import dev.lanes.backend.Backend;
import dev.lanes.backend.Op;
import dev.lanes.backend.SampleRow;
import dev.lanes.backend.Tensor;
import dev.lanes.cache.KvCache;
import dev.lanes.model.StepBatch;
import dev.lanes.model.StepOutput;
import java.util.ArrayList;
import java.util.List;

/** Puts a step through the model, samples, and hands each sequence its part. */
final class StepRunner {
  private final StepFunction model;
  private final KvCache cache;
  private final Backend backend;

  StepRunner(StepFunction model, KvCache cache, Backend backend) {
    this.model = model;
    this.cache = cache;
    this.backend = backend;
  }

  /**
   * Runs a step.
   *
   * @param planned what takes part; generations are put first, so that the rows to sample from lie together
   * @return the sequences that have ended, or failed by themselves
   */
  List<Sequence> run(List<Slice> planned) {
    List<Slice> slices = new ArrayList<>(planned.size());
    int generations = 0;
    for (Slice slice : planned) {
      if (slice.sequence() instanceof GenerationSequence) {
        slices.add(generations++, slice);
      } else {
        slices.add(slice);
      }
    }

    StepBatch step = batch(slices);
    StepOutput output;
    Sampled sampled;
    // From the first embedding to the chosen tokens in one piece.
    try (Backend.Batch ops = backend.batch()) {
      output = model.forward(step);
      sampled = sample(slices.subList(0, generations), output);
    }
    List<Sequence> ended = new ArrayList<>();
    takeTokens(slices.subList(0, generations), sampled, ended);
    takeRows(slices, generations, sampled.rows.length, output, ended);
    return ended;
  }

  private StepBatch batch(List<Slice> slices) {
    int total = 0;
    int logits = 0;
    for (Slice slice : slices) {
      total += slice.count();
      logits += slice.logitRows();
    }
    int sequences = slices.size();
    int[] tokens = new int[total];
    long[] positions = new long[total];
    long[] sinkPositions = new long[total];
    long[] slots = new long[total];
    long[] queryBegin = new long[sequences + 1];
    long[] keyCount = new long[sequences];
    int[][] pageTable = new int[sequences][];
    long[] window = new long[sequences];
    long[] sinks = new long[sequences];
    int[] logitRows = new int[logits];
    StepBatch.Hidden hidden = StepBatch.Hidden.NONE;
    int row = 0;
    int logitRow = 0;
    boolean anySinks = false;
    for (int s = 0; s < sequences; s++) {
      Slice slice = slices.get(s);
      Sequence sequence = slice.sequence();
      System.arraycopy(sequence.tokens(), slice.from(), tokens, row, slice.count());
      for (int i = 0; i < slice.count(); i++) {
        positions[row + i] = slice.from() + i;
        sinkPositions[row + i] = sequence.sinkPosition(slice.from() + i);
      }
      sequence.pages().slots(slice.from(), slice.count(), slots, row);
      keyCount[s] = slice.from() + slice.count();
      pageTable[s] = sequence.pages().pageTable();
      window[s] = sequence.variant().window();
      sinks[s] = sequence.variant().sinks();
      anySinks |= sinks[s] > 0;
      for (int left = slice.logitRows(); left > 0; left--) {
        logitRows[logitRow++] = row + slice.count() - left;
      }
      row += slice.count();
      queryBegin[s + 1] = row;
      if (sequence.hidden().compareTo(hidden) > 0) {
        hidden = sequence.hidden();
      }
    }
    Op.Ragged ragged = new Op.Ragged(queryBegin, keyCount, pageTable, window, sinks);
    return new StepBatch(tokens, positions, anySinks ? sinkPositions : null, cache.pages(), slots, ragged, logitRows, hidden);
  }

  /** What was chosen for each row of logits that belongs to a generation. */
  private record Sampled(SampleRow[] rows, int[] token, float[] logProbability, int[][] topIds, float[][] topLogProbabilities) {}

  private Sampled sample(List<Slice> slices, StepOutput output) {
    List<GenerationSequence> choosing = new ArrayList<>();
    for (Slice slice : slices) {
      if (slice.logitRows() == 1) {
        choosing.add((GenerationSequence) slice.sequence());
      }
    }
    int count = choosing.size();
    SampleRow[] rows = new SampleRow[count];
    boolean anyAsked = false;
    for (int i = 0; i < count; i++) {
      rows[i] = choosing.get(i).sampleRow();
      anyAsked |= choosing.get(i).sampling().topLogProbabilities() >= 0;
    }
    Sampled sampled = new Sampled(rows, new int[count], anyAsked ? new float[count] : null, new int[count][], new float[count][]);
    if (count == 0) {
      return sampled;
    }
    Tensor logits = output.logits().rows(0, count);
    backend.sample(new Op.Sample(logits, rows, sampled.token, sampled.logProbability));
    for (int i = 0; i < count; i++) {
      int top = Math.min(choosing.get(i).sampling().topLogProbabilities(), logits.columns());
      if (top > 0) {
        sampled.topIds[i] = new int[top];
        sampled.topLogProbabilities[i] = new float[top];
        backend.topLogProbabilities(
            new Op.TopLogProbabilities(logits.rows(i, 1), top, sampled.topIds[i], sampled.topLogProbabilities[i]));
      }
    }
    return sampled;
  }

  private void takeTokens(List<Slice> slices, Sampled sampled, List<Sequence> ended) {
    int row = 0;
    for (Slice slice : slices) {
      GenerationSequence sequence = (GenerationSequence) slice.sequence();
      sequence.advance(slice.count());
      sequence.stepped();
      boolean chosen = slice.logitRows() == 1;
      boolean over = false;
      if (chosen) {
        // The prompt is complete, or the sequence has ended: its pages are worth keeping for what begins alike.
        boolean promptDone = sequence.outputTokens() == 0;
        boolean asked = sequence.sampling().topLogProbabilities() >= 0;
        over = sequence.accept(sampled.token[row], asked ? sampled.logProbability[row] : Float.NaN, sampled.topIds[row],
            sampled.topLogProbabilities[row]);
        if (promptDone || over) {
          cache.remember(sequence.pages(), sequence.tokens(), sequence.computed(), sequence.variant());
        }
        row++;
      }
      if (over) {
        ended.add(sequence);
      } else {
        sequence.evictUnseen();
      }
    }
  }

  private void takeRows(List<Slice> slices, int firstForward, int firstLogitRow, StepOutput output, List<Sequence> ended) {
    int row = 0;
    for (Slice slice : slices.subList(0, firstForward)) {
      row += slice.count();
    }
    int logitRow = firstLogitRow;
    for (Slice slice : slices.subList(firstForward, slices.size())) {
      ForwardSequence sequence = (ForwardSequence) slice.sequence();
      sequence.take(output, slice.from(), slice.count(), row, logitRow);
      if (sequence.scores() != null && slice.logitRows() > 0) {
        score(sequence.scores(), output.logits().rows(logitRow, slice.logitRows()), slice.from() + slice.count() - slice.logitRows());
      }
      row += slice.count();
      logitRow += slice.logitRows();
      sequence.advance(slice.count());
      if (sequence.pending() == 0) {
        ended.add(sequence);
      } else {
        sequence.evictUnseen();
      }
    }
  }

  /** Log-probabilities by way of the likeliest token's: only two logits of a row are copied. */
  private void score(ForwardRequest.Scores scores, Tensor logits, int firstPosition) {
    int rows = logits.rows();
    int[] likeliest = new int[rows];
    float[] largest = new float[rows];
    backend.topLogProbabilities(new Op.TopLogProbabilities(logits, 1, likeliest, largest));
    for (int i = Math.max(0, scores.from() - firstPosition); i < rows; i++) {
      int next = scores.next()[firstPosition + i];
      scores.logProbability()[firstPosition + i] = largest[i] + (logit(logits, i, next) - logit(logits, i, likeliest[i]));
    }
  }

  private static float logit(Tensor logits, int row, int column) {
    return logits.view(row, 1, column, 1).toArray()[0];
  }
}
