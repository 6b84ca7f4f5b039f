package dev.lanes.model;

import dev.lanes.backend.DType;
import dev.lanes.backend.FloatFormats;
import dev.lanes.format.ModelConfig;

/**
 * The inverse frequencies of rotary position embedding (Su et al. 2021) with their scaling rules folded in. Computed in float32 step
 * by step as Hugging Face transformers does: models are trained and served with these roundings.
 */
final class RopeFrequencies {
  private RopeFrequencies() {}

  /**
   * One for each rotated pair: [rotaryDim / 2].
   *
   * @param type what they are rounded to in the end
   */
  static double[] of(ModelConfig.Rope rope, DType type) {
    double[] frequencies = new double[rope.rotaryDim() / 2];
    for (int i = 0; i < frequencies.length; i++) {
      float exponent = (float) (2 * i) / rope.rotaryDim();
      float inverse = 1f / (float) Math.pow((float) rope.theta(), exponent);
      float scaled = switch (rope.type()) {
        case DEFAULT -> inverse;
        case LINEAR -> inverse / (float) rope.factor();
        case LLAMA3 -> llama3(rope, inverse);
      };
      frequencies[i] = FloatFormats.round(scaled, type);
    }
    return frequencies;
  }

  /** Llama 3.1: long wavelengths are stretched by the factor, short ones stay, those between are blended. */
  private static float llama3(ModelConfig.Rope rope, float inverse) {
    float context = rope.originalMaxPositions();
    float low = (float) rope.lowFreqFactor();
    float high = (float) rope.highFreqFactor();
    float factor = (float) rope.factor();
    float wavelength = (float) (2 * Math.PI) / inverse;
    if (wavelength > context / low) {
      return inverse / factor;
    }
    if (wavelength < context / high) {
      return inverse;
    }
    float smooth = (context / wavelength - low) / (high - low);
    return (1 - smooth) * inverse / factor + smooth * inverse;
  }
}
