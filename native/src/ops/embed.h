// Rows of a packed weight as float32, by id. Arguments have been checked (abi/embed.cc).
#ifndef LANES_OPS_EMBED_H_
#define LANES_OPS_EMBED_H_

#include <stdint.h>

#include "core/parallel.h"
#include "ops/weight.h"

namespace lanes {

struct EmbedArgs {
  WeightView weight;  // [vocabulary, hidden]
  const int32_t* ids;  // [tokens]
  int64_t tokens;
  bool accumulate;
  float* y;  // [tokens, hidden]
  int64_t y_stride;
};

struct EmbedKernel {
  void (*run)(OpContext& context, const EmbedArgs& args);
};

}  // namespace lanes

#endif  // LANES_OPS_EMBED_H_
