package dev.lanes.model;

import dev.lanes.backend.DType;
import dev.lanes.backend.PackedWeight;

/** A matrix in the backend's memory. */
record LoadedMatrix(PackedWeight weight, float inputScale) implements LinearInput {
  @Override
  public DType dtype() {
    return weight.dtype();
  }

  int rows() {
    return weight.rows();
  }
}
