#include "cuda/common/tensor_map.h"

#include <cuda.h>
#include <cuda_runtime.h>

namespace lanes::cuda {
namespace {

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));

using Encode = decltype(&cuTensorMapEncodeTiled);

// The driver's function, null where it has none. By name: the library must load without a driver.
Encode FindEncode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  return result == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function) : nullptr;
}

CUtensorMapDataType TypeOf(TensorMapType type) {
  switch (type) {
    case TensorMapType::kU8:
      return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    case TensorMapType::kU16:
      return CU_TENSOR_MAP_DATA_TYPE_UINT16;
    case TensorMapType::kF32:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case TensorMapType::kBf16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case TensorMapType::kF16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  }
  return CU_TENSOR_MAP_DATA_TYPE_UINT8;
}

CUtensorMapSwizzle SwizzleOf(TensorMapSwizzle swizzle) {
  switch (swizzle) {
    case TensorMapSwizzle::kNone:
      return CU_TENSOR_MAP_SWIZZLE_NONE;
    case TensorMapSwizzle::k32:
      return CU_TENSOR_MAP_SWIZZLE_32B;
    case TensorMapSwizzle::k64:
      return CU_TENSOR_MAP_SWIZZLE_64B;
    case TensorMapSwizzle::k128:
      return CU_TENSOR_MAP_SWIZZLE_128B;
  }
  return CU_TENSOR_MAP_SWIZZLE_NONE;
}

}  // namespace

bool EncodeTensorMap(const TensorMapParams& params, TensorMap* map) {
  static const Encode encode = FindEncode();
  if (encode == nullptr || params.rank < 1 || params.rank > 5) return false;
  const cuuint32_t steps[5] = {1, 1, 1, 1, 1};
  cuuint64_t size[5], stride[5] = {};
  cuuint32_t box[5];
  for (int32_t i = 0; i < params.rank; ++i) {
    size[i] = params.size[i];
    box[i] = params.box[i];
    if (i > 0) stride[i - 1] = params.stride_bytes[i];
  }
  return encode(reinterpret_cast<CUtensorMap*>(map), TypeOf(params.type), static_cast<cuuint32_t>(params.rank),
                const_cast<void*>(params.data), size, stride, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, SwizzleOf(params.swizzle),
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace lanes::cuda
