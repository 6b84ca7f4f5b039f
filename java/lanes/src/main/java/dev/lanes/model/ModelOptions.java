package dev.lanes.model;

import dev.lanes.backend.Compute;
import dev.lanes.backend.DType;
import java.util.Objects;
import java.util.Optional;

/**
 * How a model is held and computed.
 *
 * @param weightType type of floats that matrices are converted to while loading; empty keeps the checkpoint's. Layers of a W8A8
 *     checkpoint are converted too (and then have no int8 activations) unless {@code quantization} asks for W8A8
 * @param quantization what becomes of float linear layers
 * @param quantizeHead whether token embedding and LM head are int8 too: one matrix where they are tied
 * @param compute how linear layers with bfloat16 ({@link Compute#BF16}) or float16 weights ({@link Compute#F16}) multiply, and attention over
 *     such a cache; those of other types, and the routers of experts, are exact. Empty for what suits the backend, see {@link ComputeChoice}
 * @param ropeType type that the inverse frequencies of rotary embedding are rounded to. Loading a checkpoint with transformers keeps
 *     them in float32; a model that was cast as a whole ({@code model.to(torch.bfloat16)}) has them rounded, and computes other
 *     numbers ever after: the angle's error grows with the position
 */
public record ModelOptions(
    Optional<DType> weightType, Quantization quantization, boolean quantizeHead, Optional<Compute> compute, DType ropeType) {
  public ModelOptions {
    Objects.requireNonNull(weightType, "weightType");
    Objects.requireNonNull(quantization, "quantization");
    Objects.requireNonNull(compute, "compute");
    Objects.requireNonNull(ropeType, "ropeType");
    if (weightType.isPresent() && !weightType.get().isFloat()) {
      throw new IllegalArgumentException("weightType is " + weightType.get() + ", expected a type of floats; ask for quantization");
    }
    if (compute.equals(Optional.of(Compute.INT8))) {
      throw new IllegalArgumentException("compute is INT8, expected EXACT, BF16 or F16; int8 weights multiply so without being asked");
    }
  }

  /** Float weights and inverse frequencies in float32. */
  public ModelOptions(Optional<DType> weightType, Compute compute) {
    this(weightType, Quantization.NONE, false, Optional.of(compute), DType.F32);
  }

  /** Weights as stored, multiplied as float32 on every backend. */
  public static ModelOptions defaults() {
    return new ModelOptions(Optional.empty(), Compute.EXACT);
  }

  public ModelOptions withWeightType(DType type) {
    return new ModelOptions(Optional.of(type), quantization, quantizeHead, compute, ropeType);
  }

  public ModelOptions withQuantization(Quantization what) {
    return new ModelOptions(weightType, what, quantizeHead, compute, ropeType);
  }

  public ModelOptions withQuantizeHead(boolean value) {
    return new ModelOptions(weightType, quantization, value, compute, ropeType);
  }

  public ModelOptions withCompute(Compute how) {
    return new ModelOptions(weightType, quantization, quantizeHead, Optional.of(how), ropeType);
  }

  /** Multiplied as suits the backend. */
  public ModelOptions withAutomaticCompute() {
    return new ModelOptions(weightType, quantization, quantizeHead, Optional.empty(), ropeType);
  }

  public ModelOptions withRopeType(DType type) {
    return new ModelOptions(weightType, quantization, quantizeHead, compute, type);
  }
}
