package dev.lanes.model;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import java.util.Objects;
import java.util.Optional;

/**
 * How a model is held and computed.
 *
 * @param weightType type that matrices are converted to while loading; empty keeps the checkpoint's
 * @param compute how linear layers with bfloat16 weights multiply; all others, and the routers of experts, are exact
 */
public record ModelOptions(Optional<DType> weightType, Compute compute) {
  public ModelOptions {
    Objects.requireNonNull(weightType, "weightType");
    Objects.requireNonNull(compute, "compute");
  }

  /** Weights as stored, multiplied as float32. */
  public static ModelOptions defaults() {
    return new ModelOptions(Optional.empty(), Compute.EXACT);
  }

  public ModelOptions withWeightType(DType type) {
    return new ModelOptions(Optional.of(type), compute);
  }

  public ModelOptions withCompute(Compute how) {
    return new ModelOptions(weightType, how);
  }
}
