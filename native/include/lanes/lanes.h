/*
 * Lanes: kernels of Transformer inference behind a plain C ABI.
 *
 * This header is the whole native interface; JavaCPP parses it and nothing else.
 *
 * Conventions
 *  - Every function returns a lanes_status; anything but LANES_OK leaves a message for the calling thread
 *    in lanes_last_error(). Nothing throws and nothing aborts across this interface.
 *  - A params struct starts with `size`, which the caller sets to sizeof(that struct). A smaller size than
 *    this library knows means an older caller: the fields it lacks read as zero.
 *  - Every pointer comes with a length in ELEMENTS of its type (`x_len` for `x`). All sizes, strides, ids and
 *    positions are checked on every call before memory is touched.
 *  - Matrices are row-major. `x_stride` is the distance between rows in elements, at least the row's width.
 *    Activations are float32. Shapes are written [rows, columns].
 *  - Outputs may alias inputs only where a struct says so.
 *  - Tensors (all float and int8 arrays that an op computes on) lie in the memory of the runtime's device: what lanes_runtime_alloc gave,
 *    or page-locked host memory that the device can reach. On the CPU that is any memory. Ids, positions, page tables and options, and
 *    what route, sample and top_log_probabilities return, are host memory everywhere; so are combine's index and weight.
 *  - Work is split over threads by output, never by the summed dimension: results do not depend on the number
 *    of threads, on how many rows share a call, or on where a sequence's pages lie. Bit for bit, on one ISA.
 *  - Handles are created and destroyed by the caller; a handle must outlive the calls that use it.
 */
#ifndef LANES_LANES_H
#define LANES_LANES_H

#include <stdint.h>

#if defined(_WIN32)
#if defined(LANES_BUILD)
#define LANES_API __declspec(dllexport)
#else
#define LANES_API __declspec(dllimport)
#endif
#else
#define LANES_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LANES_ABI_VERSION 1

/* Tokens in a page of the KV pool. Attention also walks keys in tiles of this many. */
#define LANES_PAGE_TOKENS 64

/* Keys after which attention closes a partial result; partial results are merged in order. A multiple of the page. */
#define LANES_SPLIT_TOKENS 2048

/* Largest head dimension of attention. */
#define LANES_MAX_HEAD_DIM 512

enum lanes_status {
  LANES_OK = 0,
  LANES_ERROR_INVALID_ARGUMENT = 1, /* a size, id, position, stride or enum is out of range, or a pointer is null */
  LANES_ERROR_OUT_OF_MEMORY = 2,
  LANES_ERROR_UNSUPPORTED = 3, /* well-formed, but this build or this CPU cannot do it */
  LANES_ERROR_INTERNAL = 4,    /* a defect of Lanes; the message says where */
  LANES_ERROR_DEVICE = 5       /* the device has failed: what is on it is lost, and its handles can only be destroyed */
};

/* S8: int8 elements that stand for scale * element, with one float32 scale for each row of a matrix. */
enum lanes_dtype { LANES_F32 = 0, LANES_BF16 = 1, LANES_F16 = 2, LANES_S8 = 3 };

enum lanes_isa { LANES_ISA_AUTO = 0, LANES_ISA_REFERENCE = 1, LANES_ISA_AVX2 = 2, LANES_ISA_AVX512 = 3, LANES_ISA_NEON = 4 };

/* Elementwise activation. GELU is x * Phi(x) with erf; GELU_TANH is its tanh approximation (GPT-2's "gelu_new"). */
enum lanes_activation {
  LANES_ACTIVATION_NONE = 0,
  LANES_ACTIVATION_SILU = 1,
  LANES_ACTIVATION_GELU = 2,
  LANES_ACTIVATION_GELU_TANH = 3,
  LANES_ACTIVATION_RELU = 4,
  LANES_ACTIVATION_TANH = 5
};

/* What counted memory is for; live and peak bytes are kept for each. */
enum lanes_memory_tag {
  LANES_MEMORY_WEIGHTS = 0,
  LANES_MEMORY_KV = 1,
  LANES_MEMORY_SCRATCH = 2,
  LANES_MEMORY_OTHER = 3,
  LANES_MEMORY_TAGS = 4
};

/* ---- Library ---------------------------------------------------------------------------------------------- */

/* LANES_ABI_VERSION of the library that is loaded. */
LANES_API int32_t lanes_abi_version(void);

/* "0.1.0". Static storage. */
LANES_API const char* lanes_version(void);

/* Message of the last failure on this thread, "" when there was none. Valid until the thread's next call. */
LANES_API const char* lanes_last_error(void);

typedef struct lanes_cpu_features {
  uint64_t size;
  int32_t avx2;        /* AVX2 with FMA and F16C, enabled by the operating system */
  int32_t avx512;      /* AVX-512 F, BW, DQ, VL, enabled by the operating system */
  int32_t avx512_bf16; /* bfloat16 dot products */
  int32_t avx512_vnni; /* int8 dot products */
  int32_t logical_cpus; /* CPUs this process may run on */
  int32_t best_isa;     /* lanes_isa that LANES_ISA_AUTO picks */
  char name[64];        /* the CPU's own name, "" where it has none */
  int32_t neon;         /* Advanced SIMD of ARMv8-A */
  int32_t neon_bf16;    /* bfloat16 dot products (FEAT_BF16) */
  int32_t neon_dotprod; /* int8 dot products (FEAT_DotProd) */
  int32_t neon_i8mm;    /* int8 matrix products (FEAT_I8MM) */
} lanes_cpu_features;

LANES_API int32_t lanes_get_cpu_features(lanes_cpu_features* features);

/* ---- Counted memory: weights, KV pages, scratch ------------------------------------------------------------ */

/* 64-byte aligned, zeroed. Fails with OUT_OF_MEMORY, never by overcommitting what the system says is free. */
LANES_API int32_t lanes_alloc(uint64_t bytes, int32_t tag, void** out);

/* `memory` must come from lanes_alloc and be live; anything else is refused as INVALID_ARGUMENT. NULL is fine. */
LANES_API int32_t lanes_free(void* memory);

typedef struct lanes_memory_stats {
  uint64_t size;
  uint64_t live_bytes[LANES_MEMORY_TAGS];
  uint64_t live_blocks[LANES_MEMORY_TAGS];
  uint64_t live_total;
  uint64_t peak_total; /* highest live_total since the start or the last reset */
} lanes_memory_stats;

LANES_API int32_t lanes_get_memory_stats(lanes_memory_stats* stats);
LANES_API int32_t lanes_reset_memory_peak(void);

/* Tests: let the n-th allocation from now fail (1 = the next); 0 switches it off. */
LANES_API int32_t lanes_fail_allocation(uint64_t nth);

/* ---- Devices -------------------------------------------------------------------------------------------------- */

enum lanes_device { LANES_DEVICE_CPU = 0, LANES_DEVICE_CUDA = 1 };

/* How many devices of this kind there are; one CPU. UNSUPPORTED where there is none that Lanes can use, with the reason:
   "no CUDA device: this build has no CUDA backend". */
LANES_API int32_t lanes_get_device_count(int32_t device, int32_t* count);

typedef struct lanes_device_info {
  uint64_t size;
  int32_t device; /* lanes_device */
  int32_t index;
  char name[128];
  int32_t major, minor;    /* compute capability; Lanes needs 8.0. CPU: 0 */
  int32_t multiprocessors; /* CPU: logical CPUs */
  int32_t driver_version;  /* the CUDA version that the driver serves: 13000 for 13.0. CPU: 0 */
  int32_t runtime_version; /* the CUDA version that this library was built with. CPU: 0 */
  int32_t reserved;
  uint64_t total_bytes; /* of its memory; 0: not known */
  uint64_t free_bytes;  /* UINT64_MAX: not known */
} lanes_device_info;

LANES_API int32_t lanes_get_device_info(int32_t device, int32_t index, lanes_device_info* info);

/* ---- Runtime: a device, or a thread pool and the choice of an ISA ---------------------------------------------- */

typedef struct lanes_runtime lanes_runtime;

typedef struct lanes_runtime_params {
  uint64_t size;
  int32_t threads; /* 0: one for each CPU this process may use; the caller's thread is one of them */
  int32_t isa;     /* lanes_isa; UNSUPPORTED when this CPU lacks it */
  int32_t pin_threads; /* 1: each thread but the caller's stays on a CPU of its own, where the system can do that */
  int32_t own_pool;    /* 1: threads of its own; 0: runtimes with the same `threads` and `pin_threads` share theirs */
  int32_t device;       /* lanes_device; on another than the CPU the four fields above must be 0 */
  int32_t device_index; /* which of them */
} lanes_runtime_params;

/* Any thread may call ops of a runtime; calls of several threads take turns. So do those of runtimes that share their threads,
   in slices of about 2 ms while both have work. A runtime of one thread shares nothing. Runtimes of one CUDA device share it and its
   memory. An op of theirs has ended when its function returns; the ops of a lanes_run may go on after it, until lanes_synchronize or
   a lanes_download returns, unless one of them has results in host memory. UNSUPPORTED where there is no such device. */
LANES_API int32_t lanes_runtime_create(const lanes_runtime_params* params, lanes_runtime** out);
LANES_API int32_t lanes_runtime_destroy(lanes_runtime* runtime);

typedef struct lanes_runtime_info {
  uint64_t size;
  int32_t threads;
  int32_t isa;      /* lanes_isa in use */
  int32_t bf16_dot; /* 1: LANES_COMPUTE_BF16 uses bfloat16 dot instructions */
  int32_t pinned;   /* 1: pin_threads was asked for */
  int32_t device;   /* lanes_device */
  int32_t device_index;
  char kernels[32]; /* the ISA in use; CUDA: "sm_90a", or "portable" for the kernels of every GPU */
  char device_name[128];
} lanes_runtime_info;

LANES_API int32_t lanes_get_runtime_info(const lanes_runtime* runtime, lanes_runtime_info* info);

/* For op number `index` (0, 1, …): its name and the implementation this runtime uses ("avx512", "avx2", "neon", "reference",
   "portable" where one serves all CPUs, or "cuda").
   Past the last op: INVALID_ARGUMENT. Static storage. */
LANES_API int32_t lanes_op_implementation(const lanes_runtime* runtime, int32_t index, const char** op,
                                          const char** implementation);

/* Where a runtime's time goes, op by op: 1 measures from zero on, 0 stops. Off at first; on, it costs a few readings of the
   clock an op, and on a device each list of ops is waited for. Numbers and names of ops are those of lanes_op_implementation. */
LANES_API int32_t lanes_profile(lanes_runtime* runtime, int32_t enabled);

typedef struct lanes_op_profile {
  uint64_t size;
  uint64_t calls;
  uint64_t nanos;      /* from the check of the arguments to the end of the op; on a device, of its kernels there */
  uint64_t wait_nanos; /* of these, the calling thread had nothing left to do and waited for the others */
  uint64_t idle_nanos; /* sum over the other threads: while work was shared, those that had not come yet or had run dry */
} lanes_op_profile;

LANES_API int32_t lanes_get_op_profile(lanes_runtime* runtime, int32_t index, lanes_op_profile* profile);

/* ---- Memory of a runtime's device ------------------------------------------------------------------------------ */

/* Memory for the tensors of this runtime's ops, zeroed; 64-byte aligned on the CPU (as lanes_alloc), 256-byte aligned on a device.
   It belongs to the device: any of its runtimes may use and free it, and with the last runtime, weight and pool of the device it goes. */
LANES_API int32_t lanes_runtime_alloc(lanes_runtime* runtime, uint64_t bytes, int32_t tag, void** out);

/* Waits for the ops under way. `memory` must be live; anything else is refused as INVALID_ARGUMENT. NULL is fine. */
LANES_API int32_t lanes_runtime_free(lanes_runtime* runtime, void* memory);

/* Rows of bytes from one memory into another; strides are distances between rows in bytes, at least row_bytes. */
typedef struct lanes_copy_params {
  uint64_t size;
  const void* src;
  uint64_t src_bytes;
  int64_t src_stride;
  void* dst;
  uint64_t dst_bytes;
  int64_t dst_stride;
  int64_t rows;
  int64_t row_bytes;
} lanes_copy_params;

/* From host memory to the runtime's memory, and back; after the ops that were called before. Both return when the copy is done. */
LANES_API int32_t lanes_upload(lanes_runtime* runtime, const lanes_copy_params* params);
LANES_API int32_t lanes_download(lanes_runtime* runtime, const lanes_copy_params* params);

/* Returns when all that was called before has ended; reports what went wrong in it. */
LANES_API int32_t lanes_synchronize(lanes_runtime* runtime);

/* The runtime's memory: that of its device, or counted host memory. */
typedef struct lanes_runtime_memory {
  uint64_t size;
  uint64_t live_bytes[LANES_MEMORY_TAGS];
  uint64_t live_blocks[LANES_MEMORY_TAGS];
  uint64_t peak_bytes[LANES_MEMORY_TAGS]; /* highest live_bytes since the start or the last reset */
  uint64_t free_bytes;  /* of the device, for all processes; UINT64_MAX: not known */
  uint64_t total_bytes; /* of the device; 0: not known */
  uint64_t peak_total;  /* highest sum of live_bytes since the start or the last reset */
} lanes_runtime_memory;

LANES_API int32_t lanes_get_runtime_memory(lanes_runtime* runtime, lanes_runtime_memory* memory);
/* Peaks of the runtime's memory begin anew at what is live; on the CPU those of the whole process. */
LANES_API int32_t lanes_reset_runtime_memory_peak(lanes_runtime* runtime);

/* Tests: the device fails as after an illegal access in a kernel; everything on it is lost. UNSUPPORTED on the CPU. */
LANES_API int32_t lanes_fail_device(lanes_runtime* runtime);

/* ---- Quantized rows -------------------------------------------------------------------------------------------

   int8 activations are rows q with one float32 scale each: x = scale * q. Ops that quantize a row do it so:
    - by the row itself: scale = max |x| / 127, q = clamp(round(x / scale), -127, 127);
    - with a static scale: q = clamp(round(x / scale), -128, 127).
   round is half to even, the divisions are float32 divisions. A scale that is 0 gives q = 0. A row that holds NaN, or
   infinity when it is its own measure, gets the scale NaN and q = 0, so that whatever is computed from it is NaN. */

/* ---- Weights --------------------------------------------------------------------------------------------------- */

/* A matrix [rows = output features, cols = input features], stored in panels whose SIMD lanes run over rows; on a device, in rows. An S8
   weight has at most 2^23 columns, and holds a scale for each row. Ops take weights of their runtime's device alone. */
typedef struct lanes_weight lanes_weight;

typedef struct lanes_weight_params {
  uint64_t size;
  int64_t rows;
  int64_t cols;
  int32_t dtype; /* lanes_dtype of the stored elements */
  const lanes_runtime* runtime; /* whose device holds it, and may be destroyed before it; NULL: host memory, for any CPU runtime */
} lanes_weight_params;

LANES_API int32_t lanes_weight_create(const lanes_weight_params* params, lanes_weight** out);
LANES_API int32_t lanes_weight_destroy(lanes_weight* weight);

/* Bytes that a weight of this shape takes, padding included. */
LANES_API int32_t lanes_weight_bytes(const lanes_weight_params* params, uint64_t* bytes);

typedef struct lanes_weight_pack_params {
  uint64_t size;
  lanes_weight* weight;
  const void* src;    /* little-endian elements of src_dtype */
  uint64_t src_bytes;
  int32_t src_dtype;  /* converted to the weight's dtype, rounding half to even */
  int32_t transposed; /* 0: src is [row_count, col_count]; 1: src is [col_count, row_count] (GPT-2's Conv1D) */
  int64_t row_begin, row_count; /* the part of the weight that src fills */
  int64_t col_begin, col_count;
  /* [row_count], each finite and at least 0: the row's elements are scale * q. Needed when src is S8; a float weight then gets
     the product, rounded to float32 and then to its dtype. When float src fills an S8 weight, rows are quantized with them
     to [-127, 127], or, where NULL, by themselves: then src must be row-major and hold whole rows. Parts of one row need
     the same scale. NULL where both are floats. */
  const float* scales;
  uint64_t scales_len;
} lanes_weight_pack_params;

LANES_API int32_t lanes_weight_pack(lanes_runtime* runtime, const lanes_weight_pack_params* params);

/* ---- Ops -------------------------------------------------------------------------------------------------------- */

/* y[t, :] = weight[ids[t], :]  (+ y[t, :] when `accumulate`: position and token-type embeddings). Exact conversion to float32;
   an S8 element is scale * q, rounded once. */
typedef struct lanes_embed_params {
  uint64_t size;
  const lanes_weight* weight; /* [vocabulary, hidden] */
  const int32_t* ids;         /* [tokens], each in [0, vocabulary) */
  uint64_t ids_len;
  int32_t accumulate;
  int64_t tokens;
  float* y; /* [tokens, hidden] */
  uint64_t y_len;
  int64_t y_stride;
} lanes_embed_params;

LANES_API int32_t lanes_embed(lanes_runtime* runtime, const lanes_embed_params* params);

/* How `lanes_linear` multiplies. EXACT keeps float32 activations and widens the weights in registers. BF16 rounds the
   activations to bfloat16 (half to even) and multiplies pairs with float32 sums: for bfloat16 weights only; on a CPU
   without bfloat16 dot instructions it is computed as EXACT. INT8 multiplies int8 rows by an S8 weight and sums exactly;
   S8 weights take no other, and other weights do not take it.

   F16 is for f16 weights only, and computed as EXACT on a CPU. A GPU multiplies each row of x by the power of two that brings
   its largest magnitude into [2^14, 2^15) (2^126 at most), rounds it to f16 (half to even, subnormals kept), multiplies pairs
   with float32 sums, and divides the sum by that power before it adds the bias: no row is too large or too small for f16. */
enum lanes_compute { LANES_COMPUTE_EXACT = 0, LANES_COMPUTE_BF16 = 1, LANES_COMPUTE_INT8 = 2, LANES_COMPUTE_F16 = 3 };

/* y = residual + activation(x * weight^T + bias). Each y[i, j] is summed over k in order, in its own lane.

   INT8 takes quantized rows xq and x_scale, or float rows x that it quantizes itself. Then x * weight^T is
   float(sum over k of xq[i, k] * q[j, k]) * (x_scale[i] * scale[j]): the sum exact, each float32 operation rounded once.

   bfloat16 rows x_bf16 give the bits of float rows with the same values. y_bf16 is y rounded to bfloat16, half to even, as the
   last step, so that a linear layer with BF16 that reads it gives the bits that it would give of y. */
typedef struct lanes_linear_params {
  uint64_t size;
  const lanes_weight* weight; /* [n, k] */
  int64_t m;
  const float* x; /* [m, k] */
  uint64_t x_len;
  int64_t x_stride;
  const float* bias; /* [n] or NULL */
  uint64_t bias_len;
  const float* residual; /* [m, n] or NULL; may be y itself, with the same stride */
  uint64_t residual_len;
  int64_t residual_stride;
  float* y; /* [m, n] */
  uint64_t y_len;
  int64_t y_stride;
  int32_t activation; /* lanes_activation */
  int32_t compute;    /* lanes_compute */
  const int8_t* xq; /* [m, k] or NULL; INT8 only, and then x is NULL */
  uint64_t xq_len;
  int64_t xq_stride;
  const float* x_scale; /* [m], with xq */
  uint64_t x_scale_len;
  float input_scale; /* INT8 with x: the static scale to quantize with, or 0: each row by itself */
  const uint16_t* x_bf16; /* [m, k] of bfloat16 or NULL; not with INT8, and then x is NULL */
  uint64_t x_bf16_len;
  int64_t x_bf16_stride;
  uint16_t* y_bf16; /* [m, n] of bfloat16 or NULL; then y is NULL */
  uint64_t y_bf16_len;
  int64_t y_bf16_stride;
} lanes_linear_params;

LANES_API int32_t lanes_linear(lanes_runtime* runtime, const lanes_linear_params* params);

/* LAYER: (x - mean) / sqrt(variance + epsilon) * weight + bias.  RMS: x / sqrt(mean(x^2) + epsilon) * weight (+ bias).
   Ba et al. 2016; Zhang and Sennrich 2019. */
enum lanes_norm_kind { LANES_NORM_LAYER = 0, LANES_NORM_RMS = 1 };

/* s = x + residual (when given); sum = s (when given); y = norm(s). y and sum may each be x or residual, but not each other.
   With yq the rows of y come quantized, with y_bf16 rounded to bfloat16, half to even: beside y or instead of it. Neither shares memory
   with anything else. */
typedef struct lanes_norm_params {
  uint64_t size;
  int32_t kind; /* lanes_norm_kind */
  float epsilon;
  int64_t rows, cols;
  const float* x; /* [rows, cols] */
  uint64_t x_len;
  int64_t x_stride;
  const float* residual; /* [rows, cols] or NULL */
  uint64_t residual_len;
  int64_t residual_stride;
  const float* weight; /* [cols] */
  uint64_t weight_len;
  const float* bias; /* [cols] or NULL */
  uint64_t bias_len;
  float* sum; /* [rows, cols] or NULL */
  uint64_t sum_len;
  int64_t sum_stride;
  float* y; /* [rows, cols], or NULL when yq or y_bf16 is given */
  uint64_t y_len;
  int64_t y_stride;
  int8_t* yq; /* [rows, cols] or NULL */
  uint64_t yq_len;
  int64_t yq_stride;
  float* y_scale; /* [rows], with yq */
  uint64_t y_scale_len;
  float output_scale; /* the static scale of yq, or 0: each row by itself */
  uint16_t* y_bf16; /* [rows, cols] or NULL */
  uint64_t y_bf16_len;
  int64_t y_bf16_stride;
} lanes_norm_params;

LANES_API int32_t lanes_norm(lanes_runtime* runtime, const lanes_norm_params* params);

/* cos[t, i] = scale * cos(positions[t] * inverse_frequency[i]), sin likewise; angles in float64. Made once a step,
   used by every layer. The scaling rules (linear, llama3) are folded into inverse_frequency by the caller. Su et al. 2021. */
typedef struct lanes_rope_table_params {
  uint64_t size;
  const int64_t* positions; /* [tokens], each >= 0 */
  uint64_t positions_len;
  const double* inverse_frequency; /* [half] */
  uint64_t inverse_frequency_len;
  float scale;
  int64_t tokens;
  int64_t half; /* half of the rotated dimensions */
  float* cos; /* [tokens, half] */
  uint64_t cos_len;
  float* sin; /* [tokens, half] */
  uint64_t sin_len;
} lanes_rope_table_params;

LANES_API int32_t lanes_rope_table(lanes_runtime* runtime, const lanes_rope_table_params* params);

/* HALF pairs dimension i with i + half (Hugging Face's rotate_half); INTERLEAVED pairs 2i with 2i + 1 (the paper). */
enum lanes_rope_pairing { LANES_ROPE_HALF = 0, LANES_ROPE_INTERLEAVED = 1 };

/* Rotates the first 2 * half dimensions of each head; the others are copied. y may be x with the same stride. */
typedef struct lanes_rope_params {
  uint64_t size;
  int32_t pairing; /* lanes_rope_pairing */
  int32_t heads;
  int32_t head_dim;
  int64_t tokens;
  int64_t half; /* 2 * half <= head_dim */
  const float* cos; /* [tokens, half] */
  uint64_t cos_len;
  const float* sin; /* [tokens, half] */
  uint64_t sin_len;
  const float* x; /* [tokens, heads * head_dim] */
  uint64_t x_len;
  int64_t x_stride;
  float* y; /* [tokens, heads * head_dim] */
  uint64_t y_len;
  int64_t y_stride;
} lanes_rope_params;

LANES_API int32_t lanes_rope(lanes_runtime* runtime, const lanes_rope_params* params);

/* A pool of KV pages shared by all layers: page p of layer l holds LANES_PAGE_TOKENS keys and values of each kv head.
   The layout is private. Ops take pools of their runtime's device alone.
   S8 pages hold a key, and a value, of each token and kv head as int8 elements with one float32 scale: x = scale * element. */
typedef struct lanes_kv_pool lanes_kv_pool;

typedef struct lanes_kv_pool_params {
  uint64_t size;
  int32_t pages;
  int32_t layers;
  int32_t kv_heads;
  int32_t head_dim;
  int32_t dtype; /* lanes_dtype */
  const lanes_runtime* runtime; /* whose device holds it, and may be destroyed before it; NULL: host memory, for any CPU runtime */
} lanes_kv_pool_params;

LANES_API int32_t lanes_kv_pool_create(const lanes_kv_pool_params* params, lanes_kv_pool** out);
LANES_API int32_t lanes_kv_pool_destroy(lanes_kv_pool* pool);
LANES_API int32_t lanes_kv_pool_bytes(const lanes_kv_pool_params* params, uint64_t* bytes);

/* Fills a page of every layer with NaN (S8: its scales), so that a test sees any read of what was not written. */
LANES_API int32_t lanes_kv_page_poison(lanes_kv_pool* pool, int32_t page);

/* Writes keys and values of `tokens` tokens to their slots. A slot is page * LANES_PAGE_TOKENS + offset, or -1: not kept.
   BF16 and F16 pages round half to even; in F16, what is beyond 65504 becomes infinite. S8 pages quantize each head's row x:
   scale = max |x| / 127 and element = clamp(round(x / scale), -127, 127), rounding half to even, in float32; a scale of 0 gives
   elements 0. A row that holds NaN or infinity gets the scale NaN, so that whoever sees it gets NaN.

   With `half` the keys are rotated on their way into the pages, and q, when given, in place: as lanes_rope does both, bit for bit.
   k stays as it is. A token that is not kept has its queries rotated all the same. q shares no memory with k, v, cos and sin; all
   may be columns of one matrix. */
typedef struct lanes_kv_write_params {
  uint64_t size;
  lanes_kv_pool* pool;
  int32_t layer;
  int64_t tokens;
  const int64_t* slots; /* [tokens], distinct */
  uint64_t slots_len;
  const float* k; /* [tokens, kv_heads * head_dim] */
  uint64_t k_len;
  int64_t k_stride;
  const float* v; /* [tokens, kv_heads * head_dim] */
  uint64_t v_len;
  int64_t v_stride;
  int32_t pairing;  /* lanes_rope_pairing, with half */
  int32_t q_heads;  /* with q, whose heads have the pool's head_dim; else 0 */
  int64_t half;     /* 2 * half <= head_dim; 0: nothing is rotated, and the fields below are NULL */
  const float* cos; /* [tokens, half] */
  uint64_t cos_len;
  const float* sin; /* [tokens, half] */
  uint64_t sin_len;
  float* q; /* [tokens, q_heads * head_dim], or NULL */
  uint64_t q_len;
  int64_t q_stride;
} lanes_kv_write_params;

LANES_API int32_t lanes_kv_write(lanes_runtime* runtime, const lanes_kv_write_params* params);

/* out = softmax(scale * q k^T + mask) v over paged keys and values, for a ragged batch of sequences: whole prompts, chunks
   of prompts and single decode tokens side by side. Online softmax over tiles of LANES_PAGE_TOKENS keys (Milakov and
   Gimelshein 2018; Dao et al. 2022).

   Sequence s owns the query rows q_begin[s] … q_begin[s+1]-1, which are its last tokens: with n of them, row i stands at
   index kv_len[s] - n + i. The key with index j lies in page page_table[s, j / PAGE_TOKENS] at j % PAGE_TOKENS.
   Key j is visible to the query at index p when
     (causal == 0 or j <= p)  and  (window[s] == 0 or j > p - window[s] or j < sinks[s]).
   Pages that hold no visible key may be -1. A window needs causal.

   Attention sinks (Xiao et al. 2023): q_sink, when given, holds the queries as rotated for the keys j < sinks[s]; all other
   keys use q. So positions inside the cache can be re-numbered without touching stored keys.

   `compute` says how it multiplies, with s = scale * log2(e):
    - EXACT (F32, BF16 and F16 pages): float32 throughout; narrower elements are widened in registers.
    - BF16 (BF16 pages): s * q and the weights 2^(score - maximum) are rounded to bfloat16, half to even, and multiplied in pairs
      with float32 sums; the weights are summed as rounded. On a CPU without bfloat16 dot instructions it is computed as EXACT.
    - F16 (F16 pages): the same with IEEE halves, but for a power of two for s * q of a head, the one that brings its largest
      magnitude into [2^14, 2^15): it is multiplied before it is rounded, and the score is divided. On a CPU it is computed as EXACT.
    - INT8 (S8 pages, and the only one for them): s * q of a head becomes 16-bit integers times a power of two, the one that
      brings the largest into [2^14, 2^15); so do the weights times the values' scales, for each tile of keys. Products with
      int8 elements are summed exactly. score = float(sum) * power * key scale; a tile adds float(sum) * power to the output.
      A weight of 0 meets no value. On a GPU the same integers times int8 elements are summed in float32, and a weight times its
      value's scale is kept as two bfloat16 numbers (16 significant bits) instead of an integer.
   A GPU takes keys in tiles of 128 and closes a partial result after every 1,024. */
typedef struct lanes_attention_params {
  uint64_t size;
  const lanes_kv_pool* pool;
  int32_t layer;
  int32_t heads;     /* query heads, a multiple of the pool's kv heads; head h reads kv head h / (heads / kv_heads) */
  int32_t sequences;
  int32_t causal;
  float scale;
  int64_t tokens;
  const float* q; /* [tokens, heads * head_dim] */
  uint64_t q_len;
  int64_t q_stride;
  const float* q_sink; /* [tokens, heads * head_dim], the same stride as q, or NULL */
  uint64_t q_sink_len;
  const int64_t* q_begin; /* [sequences + 1], ascending, from 0 to tokens */
  uint64_t q_begin_len;
  const int64_t* kv_len; /* [sequences], each at least the sequence's number of queries */
  uint64_t kv_len_len;
  const int32_t* page_table; /* [sequences, page_table_stride] */
  uint64_t page_table_len;
  int64_t page_table_stride;
  const int64_t* window; /* [sequences], or NULL for no windows */
  uint64_t window_len;
  const int64_t* sinks; /* [sequences], or NULL for no sinks */
  uint64_t sinks_len;
  float* out; /* [tokens, heads * head_dim]; may be q with the same stride when q_sink is NULL. NULL with out_bf16 */
  uint64_t out_len;
  int64_t out_stride;
  int32_t compute; /* lanes_compute */
  uint16_t* out_bf16; /* instead of out: what out would hold, rounded to bfloat16, half to even */
  uint64_t out_bf16_len;
  int64_t out_bf16_stride;
} lanes_attention_params;

LANES_API int32_t lanes_attention(lanes_runtime* runtime, const lanes_attention_params* params);

/* y = activation(gate) * up. y may be gate or up with the same stride. With yq the rows of y come quantized, with y_bf16 rounded to
   bfloat16, half to even: beside y or instead of it. Neither shares memory with anything else. Shazeer 2020. */
typedef struct lanes_gate_params {
  uint64_t size;
  int32_t activation; /* lanes_activation */
  int64_t rows, cols;
  const float* gate; /* [rows, cols] */
  uint64_t gate_len;
  int64_t gate_stride;
  const float* up; /* [rows, cols] */
  uint64_t up_len;
  int64_t up_stride;
  float* y; /* [rows, cols], or NULL when yq or y_bf16 is given */
  uint64_t y_len;
  int64_t y_stride;
  int8_t* yq; /* [rows, cols] or NULL */
  uint64_t yq_len;
  int64_t yq_stride;
  float* y_scale; /* [rows], with yq */
  uint64_t y_scale_len;
  float output_scale; /* the static scale of yq, or 0: each row by itself */
  uint16_t* y_bf16; /* [rows, cols] or NULL */
  uint64_t y_bf16_len;
  int64_t y_bf16_stride;
} lanes_gate_params;

LANES_API int32_t lanes_gate(lanes_runtime* runtime, const lanes_gate_params* params);

/* The top_k largest of softmax(logits) of each row, largest first (ties: the lower expert first), and their
   probabilities, divided by their sum when `normalize`. Jiang et al. 2024 (Mixtral). */
typedef struct lanes_route_params {
  uint64_t size;
  int64_t tokens;
  int32_t experts;
  int32_t top_k; /* 1 … experts */
  int32_t normalize;
  const float* logits; /* [tokens, experts] */
  uint64_t logits_len;
  int64_t logits_stride;
  int32_t* expert; /* [tokens, top_k] */
  uint64_t expert_len;
  float* weight; /* [tokens, top_k] */
  uint64_t weight_len;
} lanes_route_params;

LANES_API int32_t lanes_route(lanes_runtime* runtime, const lanes_route_params* params);

/* y[i, :] = x[index[i], :]. */
typedef struct lanes_gather_params {
  uint64_t size;
  int64_t rows, cols;
  int64_t x_rows;
  const int32_t* index; /* [rows], each in [0, x_rows) */
  uint64_t index_len;
  const float* x; /* [x_rows, cols] */
  uint64_t x_len;
  int64_t x_stride;
  float* y; /* [rows, cols] */
  uint64_t y_len;
  int64_t y_stride;
} lanes_gather_params;

LANES_API int32_t lanes_gather(lanes_runtime* runtime, const lanes_gather_params* params);

/* y[t, :] = residual[t, :] + sum over j, in order, of weight[t, j] * x[index[t, j], :]. Puts experts' outputs together. */
typedef struct lanes_combine_params {
  uint64_t size;
  int64_t tokens, cols;
  int32_t terms;
  int64_t x_rows;
  const int32_t* index; /* [tokens, terms], each in [0, x_rows) */
  uint64_t index_len;
  const float* weight; /* [tokens, terms] */
  uint64_t weight_len;
  const float* x; /* [x_rows, cols] */
  uint64_t x_len;
  int64_t x_stride;
  const float* residual; /* [tokens, cols] or NULL; may be y with the same stride */
  uint64_t residual_len;
  int64_t residual_stride;
  float* y; /* [tokens, cols] */
  uint64_t y_len;
  int64_t y_stride;
} lanes_combine_params;

LANES_API int32_t lanes_combine(lanes_runtime* runtime, const lanes_combine_params* params);

/* How one row of logits becomes a token. Order: repetition penalty, temperature, top-k, top-p, min-p, draw. */
typedef struct lanes_sample_row {
  float temperature;        /* 0: the largest logit (ties: the lower id); else > 0 */
  int32_t top_k;            /* 0: all */
  float top_p;              /* (0, 1]; 1: all */
  float min_p;              /* [0, 1); keeps tokens with at least min_p times the largest probability */
  float repetition_penalty; /* > 0; 1: none. Positive logits of `seen` tokens are divided by it, negative multiplied (Keskar et al. 2019) */
  int32_t reserved;
  uint64_t seed;            /* with `counter`: the draw is Philox4x32-10(seed, counter), independent of anything else */
  uint64_t counter;
  int64_t seen_begin, seen_count; /* part of `seen` that belongs to this row */
} lanes_sample_row;

typedef struct lanes_sample_params {
  uint64_t size;
  int64_t rows;
  int64_t vocabulary;
  const float* logits; /* [rows, vocabulary], not changed; NaN counts as the smallest */
  uint64_t logits_len;
  int64_t logits_stride;
  const lanes_sample_row* row; /* [rows] */
  uint64_t row_len;
  const int32_t* seen; /* token ids, each in [0, vocabulary); repeats are fine */
  uint64_t seen_len;
  int32_t* token; /* [rows] */
  uint64_t token_len;
  float* log_probability; /* [rows] or NULL: log-softmax of the untouched logits at the chosen token */
  uint64_t log_probability_len;
} lanes_sample_params;

LANES_API int32_t lanes_sample(lanes_runtime* runtime, const lanes_sample_params* params);

/* The top_k largest of log-softmax(logits) of each row, largest first (ties: the lower id). */
typedef struct lanes_top_log_probabilities_params {
  uint64_t size;
  int64_t rows;
  int64_t vocabulary;
  int32_t top_k; /* 1 … vocabulary */
  const float* logits; /* [rows, vocabulary] */
  uint64_t logits_len;
  int64_t logits_stride;
  int32_t* token; /* [rows, top_k] */
  uint64_t token_len;
  float* log_probability; /* [rows, top_k] */
  uint64_t log_probability_len;
} lanes_top_log_probabilities_params;

LANES_API int32_t lanes_top_log_probabilities(lanes_runtime* runtime, const lanes_top_log_probabilities_params* params);

/* ---- Several ops in one call --------------------------------------------------------------------------------------- */

/* Which function a lanes_call stands for. */
enum lanes_call_kind {
  LANES_CALL_EMBED = 0,
  LANES_CALL_LINEAR = 1,
  LANES_CALL_NORM = 2,
  LANES_CALL_ROPE_TABLE = 3,
  LANES_CALL_ROPE = 4,
  LANES_CALL_KV_WRITE = 5,
  LANES_CALL_ATTENTION = 6,
  LANES_CALL_GATE = 7,
  LANES_CALL_GATHER = 8,
  LANES_CALL_COMBINE = 9,
  LANES_CALL_ROUTE = 10,
  LANES_CALL_SAMPLE = 11,
  LANES_CALL_TOP_LOG_PROBABILITIES = 12
};

typedef struct lanes_call {
  int32_t kind; /* lanes_call_kind */
  int32_t reserved; /* 0 */
  const void* params; /* that function's struct */
} lanes_call;

/* Calls the functions in order, each with all its checks, and stops at the first that fails, with its status and message: those
   before it have run. What a step of a model takes from one language into another is then paid once; a device gets all of it at once,
   and calls that come again with the same shapes and addresses cost it a single launch. */
LANES_API int32_t lanes_run(lanes_runtime* runtime, const lanes_call* calls, uint64_t count);

#ifdef __cplusplus
}
#endif

#endif
