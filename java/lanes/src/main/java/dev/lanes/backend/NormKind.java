package dev.lanes.backend;

/** Which normalisation: LayerNorm (Ba et al. 2016) or RMSNorm (Zhang and Sennrich 2019). */
public enum NormKind {
  LAYER,
  RMS
}
