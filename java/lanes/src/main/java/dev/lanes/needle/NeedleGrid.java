package dev.lanes.needle;

import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * The scores of one context policy.
 *
 * @param policy the policy
 * @param lengths the columns, in tokens
 * @param depths the rows, in percent
 * @param found [depths][lengths]: probes whose needle was found
 * @param asked [depths][lengths]: probes that were found or lost; those refused are left out
 */
public record NeedleGrid(NeedlePolicy policy, List<Integer> lengths, List<Integer> depths, int[][] found, int[][] asked) {
  public NeedleGrid {
    Objects.requireNonNull(policy, "policy is null");
    lengths = List.copyOf(lengths);
    depths = List.copyOf(depths);
    found = copy(found);
    asked = copy(asked);
  }

  /** Counts the outcomes of a policy; outcomes of others, or of lengths and depths that are not asked for, do not matter. */
  public static NeedleGrid of(NeedlePolicy policy, List<Integer> lengths, List<Integer> depths, Collection<NeedleOutcome> outcomes) {
    int[][] found = new int[depths.size()][lengths.size()];
    int[][] asked = new int[depths.size()][lengths.size()];
    for (NeedleOutcome outcome : outcomes) {
      int row = depths.indexOf(outcome.probe().depth());
      int column = lengths.indexOf(outcome.probe().length());
      if (row < 0 || column < 0 || !outcome.probe().policy().equals(policy) || outcome.verdict() == NeedleOutcome.Verdict.REFUSED) {
        continue;
      }
      asked[row][column]++;
      if (outcome.verdict() == NeedleOutcome.Verdict.FOUND) {
        found[row][column]++;
      }
    }
    return new NeedleGrid(policy, lengths, depths, found, asked);
  }

  /** Share of needles found, 0 to 1; empty where no probe was answered. */
  public OptionalDouble score(int row, int column) {
    return share(found[row][column], asked[row][column]);
  }

  /** Share of needles found over the whole grid; empty where no probe was answered. */
  public OptionalDouble score() {
    return share(sum(found), sum(asked));
  }

  @Override
  public int[][] found() {
    return copy(found);
  }

  @Override
  public int[][] asked() {
    return copy(asked);
  }

  private static OptionalDouble share(long found, long asked) {
    return asked == 0 ? OptionalDouble.empty() : OptionalDouble.of((double) found / asked);
  }

  private static long sum(int[][] counts) {
    long sum = 0;
    for (int[] row : counts) {
      for (int count : row) {
        sum += count;
      }
    }
    return sum;
  }

  private static int[][] copy(int[][] counts) {
    int[][] copy = new int[counts.length][];
    for (int i = 0; i < counts.length; i++) {
      copy[i] = counts[i].clone();
    }
    return copy;
  }
}
