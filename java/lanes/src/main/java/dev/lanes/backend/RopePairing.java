package dev.lanes.backend;

/** Which two dimensions of a head rotary embedding turns together (Su et al. 2021). */
public enum RopePairing {
  /** Dimension i with i + half, as Hugging Face checkpoints expect. */
  HALF,
  /** Dimension 2i with 2i + 1, as in the paper. */
  INTERLEAVED
}
