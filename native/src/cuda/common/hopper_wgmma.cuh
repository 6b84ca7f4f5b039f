// The products of hopper.cuh, which includes this: one overload for each width of the accumulator.
#ifndef LANES_CUDA_COMMON_HOPPER_WGMMA_CUH_
#define LANES_CUDA_COMMON_HOPPER_WGMMA_CUH_

namespace lanes::cuda {

// Names of the first n / 2 asm operands, and the operands.
#define LANES_WGMMA_NAMES_8 "%0, %1, %2, %3"
#define LANES_WGMMA_NAMES_16 LANES_WGMMA_NAMES_8 ", %4, %5, %6, %7"
#define LANES_WGMMA_NAMES_24 LANES_WGMMA_NAMES_16 ", %8, %9, %10, %11"
#define LANES_WGMMA_NAMES_32 LANES_WGMMA_NAMES_24 ", %12, %13, %14, %15"
#define LANES_WGMMA_NAMES_40 LANES_WGMMA_NAMES_32 ", %16, %17, %18, %19"
#define LANES_WGMMA_NAMES_48 LANES_WGMMA_NAMES_40 ", %20, %21, %22, %23"
#define LANES_WGMMA_NAMES_56 LANES_WGMMA_NAMES_48 ", %24, %25, %26, %27"
#define LANES_WGMMA_NAMES_64 LANES_WGMMA_NAMES_56 ", %28, %29, %30, %31"
#define LANES_WGMMA_NAMES_72 LANES_WGMMA_NAMES_64 ", %32, %33, %34, %35"
#define LANES_WGMMA_NAMES_80 LANES_WGMMA_NAMES_72 ", %36, %37, %38, %39"
#define LANES_WGMMA_NAMES_88 LANES_WGMMA_NAMES_80 ", %40, %41, %42, %43"
#define LANES_WGMMA_NAMES_96 LANES_WGMMA_NAMES_88 ", %44, %45, %46, %47"
#define LANES_WGMMA_NAMES_104 LANES_WGMMA_NAMES_96 ", %48, %49, %50, %51"
#define LANES_WGMMA_NAMES_112 LANES_WGMMA_NAMES_104 ", %52, %53, %54, %55"
#define LANES_WGMMA_NAMES_120 LANES_WGMMA_NAMES_112 ", %56, %57, %58, %59"
#define LANES_WGMMA_NAMES_128 LANES_WGMMA_NAMES_120 ", %60, %61, %62, %63"
#define LANES_WGMMA_NAMES_136 LANES_WGMMA_NAMES_128 ", %64, %65, %66, %67"
#define LANES_WGMMA_NAMES_144 LANES_WGMMA_NAMES_136 ", %68, %69, %70, %71"
#define LANES_WGMMA_NAMES_152 LANES_WGMMA_NAMES_144 ", %72, %73, %74, %75"
#define LANES_WGMMA_NAMES_160 LANES_WGMMA_NAMES_152 ", %76, %77, %78, %79"
#define LANES_WGMMA_NAMES_168 LANES_WGMMA_NAMES_160 ", %80, %81, %82, %83"
#define LANES_WGMMA_NAMES_176 LANES_WGMMA_NAMES_168 ", %84, %85, %86, %87"
#define LANES_WGMMA_NAMES_184 LANES_WGMMA_NAMES_176 ", %88, %89, %90, %91"
#define LANES_WGMMA_NAMES_192 LANES_WGMMA_NAMES_184 ", %92, %93, %94, %95"
#define LANES_WGMMA_NAMES_200 LANES_WGMMA_NAMES_192 ", %96, %97, %98, %99"
#define LANES_WGMMA_NAMES_208 LANES_WGMMA_NAMES_200 ", %100, %101, %102, %103"
#define LANES_WGMMA_NAMES_216 LANES_WGMMA_NAMES_208 ", %104, %105, %106, %107"
#define LANES_WGMMA_NAMES_224 LANES_WGMMA_NAMES_216 ", %108, %109, %110, %111"
#define LANES_WGMMA_NAMES_232 LANES_WGMMA_NAMES_224 ", %112, %113, %114, %115"
#define LANES_WGMMA_NAMES_240 LANES_WGMMA_NAMES_232 ", %116, %117, %118, %119"
#define LANES_WGMMA_NAMES_248 LANES_WGMMA_NAMES_240 ", %120, %121, %122, %123"
#define LANES_WGMMA_NAMES_256 LANES_WGMMA_NAMES_248 ", %124, %125, %126, %127"
#define LANES_WGMMA_OPERANDS_8(c) c(d[0]), c(d[1]), c(d[2]), c(d[3])
#define LANES_WGMMA_OPERANDS_16(c) LANES_WGMMA_OPERANDS_8(c), c(d[4]), c(d[5]), c(d[6]), c(d[7])
#define LANES_WGMMA_OPERANDS_24(c) LANES_WGMMA_OPERANDS_16(c), c(d[8]), c(d[9]), c(d[10]), c(d[11])
#define LANES_WGMMA_OPERANDS_32(c) LANES_WGMMA_OPERANDS_24(c), c(d[12]), c(d[13]), c(d[14]), c(d[15])
#define LANES_WGMMA_OPERANDS_40(c) LANES_WGMMA_OPERANDS_32(c), c(d[16]), c(d[17]), c(d[18]), c(d[19])
#define LANES_WGMMA_OPERANDS_48(c) LANES_WGMMA_OPERANDS_40(c), c(d[20]), c(d[21]), c(d[22]), c(d[23])
#define LANES_WGMMA_OPERANDS_56(c) LANES_WGMMA_OPERANDS_48(c), c(d[24]), c(d[25]), c(d[26]), c(d[27])
#define LANES_WGMMA_OPERANDS_64(c) LANES_WGMMA_OPERANDS_56(c), c(d[28]), c(d[29]), c(d[30]), c(d[31])
#define LANES_WGMMA_OPERANDS_72(c) LANES_WGMMA_OPERANDS_64(c), c(d[32]), c(d[33]), c(d[34]), c(d[35])
#define LANES_WGMMA_OPERANDS_80(c) LANES_WGMMA_OPERANDS_72(c), c(d[36]), c(d[37]), c(d[38]), c(d[39])
#define LANES_WGMMA_OPERANDS_88(c) LANES_WGMMA_OPERANDS_80(c), c(d[40]), c(d[41]), c(d[42]), c(d[43])
#define LANES_WGMMA_OPERANDS_96(c) LANES_WGMMA_OPERANDS_88(c), c(d[44]), c(d[45]), c(d[46]), c(d[47])
#define LANES_WGMMA_OPERANDS_104(c) LANES_WGMMA_OPERANDS_96(c), c(d[48]), c(d[49]), c(d[50]), c(d[51])
#define LANES_WGMMA_OPERANDS_112(c) LANES_WGMMA_OPERANDS_104(c), c(d[52]), c(d[53]), c(d[54]), c(d[55])
#define LANES_WGMMA_OPERANDS_120(c) LANES_WGMMA_OPERANDS_112(c), c(d[56]), c(d[57]), c(d[58]), c(d[59])
#define LANES_WGMMA_OPERANDS_128(c) LANES_WGMMA_OPERANDS_120(c), c(d[60]), c(d[61]), c(d[62]), c(d[63])
#define LANES_WGMMA_OPERANDS_136(c) LANES_WGMMA_OPERANDS_128(c), c(d[64]), c(d[65]), c(d[66]), c(d[67])
#define LANES_WGMMA_OPERANDS_144(c) LANES_WGMMA_OPERANDS_136(c), c(d[68]), c(d[69]), c(d[70]), c(d[71])
#define LANES_WGMMA_OPERANDS_152(c) LANES_WGMMA_OPERANDS_144(c), c(d[72]), c(d[73]), c(d[74]), c(d[75])
#define LANES_WGMMA_OPERANDS_160(c) LANES_WGMMA_OPERANDS_152(c), c(d[76]), c(d[77]), c(d[78]), c(d[79])
#define LANES_WGMMA_OPERANDS_168(c) LANES_WGMMA_OPERANDS_160(c), c(d[80]), c(d[81]), c(d[82]), c(d[83])
#define LANES_WGMMA_OPERANDS_176(c) LANES_WGMMA_OPERANDS_168(c), c(d[84]), c(d[85]), c(d[86]), c(d[87])
#define LANES_WGMMA_OPERANDS_184(c) LANES_WGMMA_OPERANDS_176(c), c(d[88]), c(d[89]), c(d[90]), c(d[91])
#define LANES_WGMMA_OPERANDS_192(c) LANES_WGMMA_OPERANDS_184(c), c(d[92]), c(d[93]), c(d[94]), c(d[95])
#define LANES_WGMMA_OPERANDS_200(c) LANES_WGMMA_OPERANDS_192(c), c(d[96]), c(d[97]), c(d[98]), c(d[99])
#define LANES_WGMMA_OPERANDS_208(c) LANES_WGMMA_OPERANDS_200(c), c(d[100]), c(d[101]), c(d[102]), c(d[103])
#define LANES_WGMMA_OPERANDS_216(c) LANES_WGMMA_OPERANDS_208(c), c(d[104]), c(d[105]), c(d[106]), c(d[107])
#define LANES_WGMMA_OPERANDS_224(c) LANES_WGMMA_OPERANDS_216(c), c(d[108]), c(d[109]), c(d[110]), c(d[111])
#define LANES_WGMMA_OPERANDS_232(c) LANES_WGMMA_OPERANDS_224(c), c(d[112]), c(d[113]), c(d[114]), c(d[115])
#define LANES_WGMMA_OPERANDS_240(c) LANES_WGMMA_OPERANDS_232(c), c(d[116]), c(d[117]), c(d[118]), c(d[119])
#define LANES_WGMMA_OPERANDS_248(c) LANES_WGMMA_OPERANDS_240(c), c(d[120]), c(d[121]), c(d[122]), c(d[123])
#define LANES_WGMMA_OPERANDS_256(c) LANES_WGMMA_OPERANDS_248(c), c(d[124]), c(d[125]), c(d[126]), c(d[127])

// n, PTX's name of the type, then the numbers of the operands that follow the accumulator.
#define LANES_WGMMA_16(Name, type, n, o0, o1, o2, o3, o4, o5, o6)                                                                      \
  template <Major kB = Major::kSummed>                                                                                                 \
  __device__ __forceinline__ void Name(float(&d)[n / 2], uint64_t a, uint64_t b, bool accumulate) {                                    \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #o2 ", 0;\n"                                                                     \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" LANES_WGMMA_NAMES_##n "}, %" #o0 ", %" #o1        \
                 ", p, 1, 1, 0, %" #o3 ";\n}"                                                                                           \
                 : LANES_WGMMA_OPERANDS_##n("+f")                                                                                      \
                 : "l"(a), "l"(b), "r"(static_cast<int32_t>(accumulate)), "n"(static_cast<int32_t>(kB))                                 \
                 : "memory");                                                                                                          \
  }                                                                                                                                    \
  template <Major kB = Major::kSummed>                                                                                                 \
  __device__ __forceinline__ void Name(float(&d)[n / 2], const uint32_t(&a)[4], uint64_t b, bool accumulate) {                         \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #o5 ", 0;\n"                                                                     \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" LANES_WGMMA_NAMES_##n "}, {%" #o0 ", %" #o1       \
                 ", %" #o2 ", %" #o3 "}, %" #o4 ", p, 1, 1, %" #o6 ";\n}"                                                              \
                 : LANES_WGMMA_OPERANDS_##n("+f")                                                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int32_t>(accumulate)),                            \
                   "n"(static_cast<int32_t>(kB))                                                                                       \
                 : "memory");                                                                                                          \
  }
#define LANES_WGMMA(n, o0, o1, o2, o3, o4, o5, o6)                                                                                     \
  LANES_WGMMA_16(WgmmaBf16, "bf16", n, o0, o1, o2, o3, o4, o5, o6)                                                                     \
  LANES_WGMMA_16(WgmmaF16, "f16", n, o0, o1, o2, o3, o4, o5, o6)                                                                       \
  __device__ __forceinline__ void WgmmaS8(int32_t(&d)[n / 2], uint64_t a, uint64_t b, bool accumulate) {                               \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #o2 ", 0;\n"                                                                     \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k32.s32.s8.s8 {" LANES_WGMMA_NAMES_##n "}, %" #o0 ", %" #o1 ", p;\n}"         \
                 : LANES_WGMMA_OPERANDS_##n("+r")                                                                                      \
                 : "l"(a), "l"(b), "r"(static_cast<int32_t>(accumulate))                                                                \
                 : "memory");                                                                                                          \
  }

LANES_WGMMA(8, 4, 5, 6, 7, 8, 9, 10)
LANES_WGMMA(16, 8, 9, 10, 11, 12, 13, 14)
LANES_WGMMA(24, 12, 13, 14, 15, 16, 17, 18)
LANES_WGMMA(32, 16, 17, 18, 19, 20, 21, 22)
LANES_WGMMA(48, 24, 25, 26, 27, 28, 29, 30)
LANES_WGMMA(64, 32, 33, 34, 35, 36, 37, 38)
LANES_WGMMA(80, 40, 41, 42, 43, 44, 45, 46)
LANES_WGMMA(96, 48, 49, 50, 51, 52, 53, 54)
LANES_WGMMA(112, 56, 57, 58, 59, 60, 61, 62)
LANES_WGMMA(128, 64, 65, 66, 67, 68, 69, 70)
LANES_WGMMA(144, 72, 73, 74, 75, 76, 77, 78)
LANES_WGMMA(160, 80, 81, 82, 83, 84, 85, 86)
LANES_WGMMA(176, 88, 89, 90, 91, 92, 93, 94)
LANES_WGMMA(192, 96, 97, 98, 99, 100, 101, 102)
LANES_WGMMA(208, 104, 105, 106, 107, 108, 109, 110)
LANES_WGMMA(224, 112, 113, 114, 115, 116, 117, 118)
LANES_WGMMA(240, 120, 121, 122, 123, 124, 125, 126)
LANES_WGMMA(256, 128, 129, 130, 131, 132, 133, 134)
#undef LANES_WGMMA
#undef LANES_WGMMA_16
#undef LANES_WGMMA_NAMES_8
#undef LANES_WGMMA_NAMES_16
#undef LANES_WGMMA_NAMES_24
#undef LANES_WGMMA_NAMES_32
#undef LANES_WGMMA_NAMES_40
#undef LANES_WGMMA_NAMES_48
#undef LANES_WGMMA_NAMES_56
#undef LANES_WGMMA_NAMES_64
#undef LANES_WGMMA_NAMES_72
#undef LANES_WGMMA_NAMES_80
#undef LANES_WGMMA_NAMES_88
#undef LANES_WGMMA_NAMES_96
#undef LANES_WGMMA_NAMES_104
#undef LANES_WGMMA_NAMES_112
#undef LANES_WGMMA_NAMES_120
#undef LANES_WGMMA_NAMES_128
#undef LANES_WGMMA_NAMES_136
#undef LANES_WGMMA_NAMES_144
#undef LANES_WGMMA_NAMES_152
#undef LANES_WGMMA_NAMES_160
#undef LANES_WGMMA_NAMES_168
#undef LANES_WGMMA_NAMES_176
#undef LANES_WGMMA_NAMES_184
#undef LANES_WGMMA_NAMES_192
#undef LANES_WGMMA_NAMES_200
#undef LANES_WGMMA_NAMES_208
#undef LANES_WGMMA_NAMES_216
#undef LANES_WGMMA_NAMES_224
#undef LANES_WGMMA_NAMES_232
#undef LANES_WGMMA_NAMES_240
#undef LANES_WGMMA_NAMES_248
#undef LANES_WGMMA_NAMES_256
#undef LANES_WGMMA_OPERANDS_8
#undef LANES_WGMMA_OPERANDS_16
#undef LANES_WGMMA_OPERANDS_24
#undef LANES_WGMMA_OPERANDS_32
#undef LANES_WGMMA_OPERANDS_40
#undef LANES_WGMMA_OPERANDS_48
#undef LANES_WGMMA_OPERANDS_56
#undef LANES_WGMMA_OPERANDS_64
#undef LANES_WGMMA_OPERANDS_72
#undef LANES_WGMMA_OPERANDS_80
#undef LANES_WGMMA_OPERANDS_88
#undef LANES_WGMMA_OPERANDS_96
#undef LANES_WGMMA_OPERANDS_104
#undef LANES_WGMMA_OPERANDS_112
#undef LANES_WGMMA_OPERANDS_120
#undef LANES_WGMMA_OPERANDS_128
#undef LANES_WGMMA_OPERANDS_136
#undef LANES_WGMMA_OPERANDS_144
#undef LANES_WGMMA_OPERANDS_152
#undef LANES_WGMMA_OPERANDS_160
#undef LANES_WGMMA_OPERANDS_168
#undef LANES_WGMMA_OPERANDS_176
#undef LANES_WGMMA_OPERANDS_184
#undef LANES_WGMMA_OPERANDS_192
#undef LANES_WGMMA_OPERANDS_200
#undef LANES_WGMMA_OPERANDS_208
#undef LANES_WGMMA_OPERANDS_216
#undef LANES_WGMMA_OPERANDS_224
#undef LANES_WGMMA_OPERANDS_232
#undef LANES_WGMMA_OPERANDS_240
#undef LANES_WGMMA_OPERANDS_248
#undef LANES_WGMMA_OPERANDS_256

}  // namespace lanes::cuda

#endif  // LANES_CUDA_COMMON_HOPPER_WGMMA_CUH_
