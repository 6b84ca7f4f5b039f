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
 * @param ropeType type that the inverse frequencies of rotary embedding are rounded to. Loading a checkpoint with transformers keeps
 *     them in float32; a model that was cast as a whole ({@code model.to(torch.bfloat16)}) has them rounded, and computes other
 *     numbers ever after: the angle's error grows with the position
 */
public record ModelOptions(Optional<DType> weightType, Compute compute, DType ropeType) {
  public ModelOptions {
    Objects.requireNonNull(weightType, "weightType");
    Objects.requireNonNull(compute, "compute");
    Objects.requireNonNull(ropeType, "ropeType");
  }

  /** Inverse frequencies in float32. */
  public ModelOptions(Optional<DType> weightType, Compute compute) {
    this(weightType, compute, DType.F32);
  }

  /** Weights as stored, multiplied as float32. */
  public static ModelOptions defaults() {
    return new ModelOptions(Optional.empty(), Compute.EXACT);
  }

  public ModelOptions withWeightType(DType type) {
    return new ModelOptions(Optional.of(type), compute, ropeType);
  }

  public ModelOptions withCompute(Compute how) {
    return new ModelOptions(weightType, how, ropeType);
  }

  public ModelOptions withRopeType(DType type) {
    return new ModelOptions(weightType, compute, type);
  }
}
