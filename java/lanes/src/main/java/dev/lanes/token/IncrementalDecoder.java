package dev.lanes.token;

/**
 * Turns the ids of one sequence into text as they come. Pieces hold whole characters only; all pieces and the flush together are exactly
 * what decoding the whole sequence gives. Not thread-safe; one for each sequence.
 */
public interface IncrementalDecoder {

  /** Takes the next id and returns the text that is final now: often a word, sometimes nothing. */
  String append(int id);

  /** The rest: what was held back because it might have become part of a longer character. Nothing can be appended afterwards. */
  String flush();
}
