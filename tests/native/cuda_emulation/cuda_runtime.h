// CUDA C++ for the emulation: qualifiers, built-in variables and functions of device code, and the part of the runtime API that the
// library uses. It stands in front of the toolkit's header of the same name, so that .cu files compile as C++ for the host.
#ifndef LANES_TESTS_CUDA_EMULATION_CUDA_RUNTIME_H_
#define LANES_TESTS_CUDA_EMULATION_CUDA_RUNTIME_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__  // empty is also right within __attribute__((...)), where headers of the C++ library have it
#define __launch_bounds__(...)
#define __maxnreg__(...)
#define __align__(n) __attribute__((aligned(n)))

#include "emulation/device_functions.h"
#include "emulation/runtime_api.h"
#include "emulation/types.h"

#endif  // LANES_TESTS_CUDA_EMULATION_CUDA_RUNTIME_H_
