// How rows become int8. Contract: "Quantized rows" in lanes.h.
#ifndef LANES_OPS_QUANTIZE_H_
#define LANES_OPS_QUANTIZE_H_

namespace lanes {

struct Quantization {
  bool measured;  // scale = max |x| / 127 of the row
  float scale;    // where it is not measured
  float lowest;   // of the integers; the highest is 127
};

// As the ops take it: 0 is measured.
static inline Quantization QuantizationOfActivations(float static_scale) {
  if (static_scale == 0) return {true, 0, -127};
  return {false, static_scale, -128};
}

// A row of a weight, by its given scale or, where null, by itself.
static inline Quantization QuantizationOfWeight(const float* scale) {
  if (scale == nullptr) return {true, 0, -127};
  return {false, *scale, -127};
}

}  // namespace lanes

#endif  // LANES_OPS_QUANTIZE_H_
