package dev.lanes.model;

import java.util.Arrays;

/**
 * Which rows each expert works on in a step. Rows are grouped by expert, in the order of the tokens; {@code combine} finds a token's
 * results again in the order of its ranks, so that its sum does not depend on who else is in the batch. Reused by all steps.
 */
final class ExpertRouting {
  private final int experts;
  private final int perToken;
  private final int[] begin;
  /** [tokens * perToken], filled by the route op. */
  private int[] expert = {};
  private float[] weight = {};
  /** Token of each grouped row. */
  private int[] token = {};
  /** Grouped row of each (token, rank). */
  private int[] row = {};

  ExpertRouting(int experts, int perToken) {
    this.experts = experts;
    this.perToken = perToken;
    this.begin = new int[experts + 1];
  }

  /** Takes arrays of exactly the step's length, as the ops want them. */
  void resize(int tokens) {
    int rows = Math.multiplyExact(tokens, perToken);
    if (expert.length != rows) {
      expert = new int[rows];
      weight = new float[rows];
      token = new int[rows];
      row = new int[rows];
    }
  }

  /** Groups the rows by what the route op has written to {@link #expert()}. */
  void group() {
    Arrays.fill(begin, 0);
    for (int e : expert) {
      begin[e + 1]++;
    }
    for (int e = 0; e < experts; e++) {
      begin[e + 1] += begin[e];
    }
    int[] next = begin.clone();
    for (int i = 0; i < expert.length; i++) {
      int grouped = next[expert[i]]++;
      token[grouped] = i / perToken;
      row[i] = grouped;
    }
  }

  int perToken() {
    return perToken;
  }

  int[] expert() {
    return expert;
  }

  float[] weight() {
    return weight;
  }

  int[] token() {
    return token;
  }

  int[] row() {
    return row;
  }

  /** First grouped row of an expert; its last is before that of the next. */
  int begin(int e) {
    return begin[e];
  }

  int count(int e) {
    return begin[e + 1] - begin[e];
  }
}
