package dev.lanes.quantize;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Compares two models position by position; no more than a chunk of logits of each is in memory. */
final class QualityMeter {
  private double[] divergence = new double[1024];
  private int positions;
  private long agreeing;
  private double before;
  private double after;
  private long scored;

  /** Runs both models over the windows. */
  static QualityMeter measure(LogitSource original, LogitSource quantized, List<int[]> windows) {
    QualityMeter meter = new QualityMeter();
    for (int[] window : windows) {
      meter.add(original, quantized, window);
    }
    return meter;
  }

  /** Takes in what another one measured. */
  void add(QualityMeter other) {
    reserve(other.positions);
    System.arraycopy(other.divergence, 0, divergence, positions, other.positions);
    positions += other.positions;
    agreeing += other.agreeing;
    before += other.before;
    after += other.after;
    scored += other.scored;
  }

  private void reserve(int more) {
    if (positions + more > divergence.length) {
      divergence = Arrays.copyOf(divergence, Math.max(2 * divergence.length, positions + more));
    }
  }

  private void add(LogitSource original, LogitSource quantized, int[] window) {
    int vocabulary = original.vocabulary();
    int chunk = WindowRunner.chunk(vocabulary);
    original.start(window);
    quantized.start(window);
    for (int begin = 0; begin < window.length; begin += chunk) {
      int count = Math.min(chunk, window.length - begin);
      float[] p = original.next(count);
      float[] q = quantized.next(count);
      int first = begin;
      Row[] rows = IntStream.range(0, count).parallel().mapToObj(i -> Row.of(p, q, i * vocabulary, vocabulary,
          first + i + 1 < window.length ? window[first + i + 1] : -1)).toArray(Row[]::new);
      for (Row row : rows) {
        add(row);
      }
    }
  }

  private void add(Row row) {
    reserve(1);
    divergence[positions++] = row.divergence;
    agreeing += row.agrees ? 1 : 0;
    if (row.hasNext) {
      before += row.before;
      after += row.after;
      scored++;
    }
  }

  Quality total() {
    double[] sorted = Arrays.copyOf(divergence, positions);
    Arrays.sort(sorted);
    double sum = 0;
    for (double value : sorted) {
      sum += value;
    }
    return new Quality(positions, (double) agreeing / positions, sum / positions,
        sorted[Math.min(positions - 1, (int) (positions * 0.99))], Math.exp(before / scored), Math.exp(after / scored));
  }

  /**
   * One position.
   *
   * @param before negative log-likelihood of the next token, where there is one
   */
  private record Row(double divergence, boolean agrees, boolean hasNext, double before, double after) {
    static Row of(float[] p, float[] q, int offset, int vocabulary, int next) {
      int bestP = 0;
      int bestQ = 0;
      for (int i = 1; i < vocabulary; i++) {
        bestP = p[offset + i] > p[offset + bestP] ? i : bestP;
        bestQ = q[offset + i] > q[offset + bestQ] ? i : bestQ;
      }
      double largestP = p[offset + bestP];
      double largestQ = q[offset + bestQ];
      double sumP = 0;
      double sumQ = 0;
      double weighted = 0;
      for (int i = 0; i < vocabulary; i++) {
        double exp = Math.exp(p[offset + i] - largestP);
        sumP += exp;
        sumQ += Math.exp(q[offset + i] - largestQ);
        weighted += exp * ((double) p[offset + i] - q[offset + i]);
      }
      double logP = largestP + Math.log(sumP);
      double logQ = largestQ + Math.log(sumQ);
      boolean hasNext = next >= 0;
      return new Row(Math.max(0, weighted / sumP - logP + logQ), bestP == bestQ, hasNext,
          hasNext ? logP - p[offset + next] : 0, hasNext ? logQ - q[offset + next] : 0);
    }
  }
}
