// What this machine can do at most, measured beside the kernels: multiply-adds in registers and bytes read from memory.
// Bound to dev.lanes.bench.ceiling.Machine. Only the benchmarks load this library; it is no part of Lanes.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <jni.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#if !defined(__x86_64__) || !defined(__linux__)
#error "the benchmarks' peers exist for linux-x86_64 only"
#endif
#include <immintrin.h>

#define MAX_THREADS 256

// A store that the compiler must keep, so that the arithmetic before it is kept too.
static volatile float sink;

typedef struct {
  void (*body)(int64_t count, char* begin);
  int64_t count;  // iterations, or bytes
  char* begin;    // memory, or null
} Task;

static void* run_task(void* argument) {
  const Task* task = argument;
  task->body(task->count, task->begin);
  return 0;
}

// Runs one task a thread, the last of them on the calling thread. Thread creation costs tens of microseconds: calls should last milliseconds.
static void run_tasks(Task* tasks, int threads) {
  pthread_t ids[MAX_THREADS];
  int started = 0;
  for (int i = 0; i + 1 < threads; ++i) {
    if (pthread_create(&ids[started], 0, run_task, &tasks[i]) == 0) {
      ++started;
    } else {
      run_task(&tasks[i]);
    }
  }
  run_task(&tasks[threads - 1]);
  for (int i = 0; i < started; ++i) {
    pthread_join(ids[i], 0);
  }
}

// 24 independent accumulators: latency 4 to 6 cycles times 2 ports needs at least 12.
#define ACCUMULATORS_24(V) \
  V(0) V(1) V(2) V(3) V(4) V(5) V(6) V(7) V(8) V(9) V(10) V(11) V(12) V(13) V(14) V(15) V(16) V(17) V(18) V(19) V(20) V(21) V(22) V(23)
#define ACCUMULATORS_12(V) V(0) V(1) V(2) V(3) V(4) V(5) V(6) V(7) V(8) V(9) V(10) V(11)

// The empty asm keeps each accumulator in a register of its own and the loop from being folded.
#define KEEP_ZMM(i) __asm__ volatile("" : "+v"(s##i));
#define KEEP_YMM(i) __asm__ volatile("" : "+x"(s##i));

__attribute__((target("avx512f"))) static void fma_avx512(int64_t count, char* unused) {
  (void)unused;
  const __m512 a = _mm512_set1_ps(1.0001f), b = _mm512_set1_ps(1e-6f);
#define START(i) __m512 s##i = _mm512_set1_ps(1.0f + i);
#define STEP(i) s##i = _mm512_fmadd_ps(a, b, s##i);
#define SUM(i) total = _mm512_add_ps(total, s##i);
  ACCUMULATORS_24(START)
  for (int64_t n = 0; n < count; ++n) {
    ACCUMULATORS_24(STEP)
    ACCUMULATORS_24(KEEP_ZMM)
  }
  __m512 total = _mm512_setzero_ps();
  ACCUMULATORS_24(SUM)
  sink = _mm512_reduce_add_ps(total);
#undef START
#undef STEP
#undef SUM
}

__attribute__((target("avx512f,avx512bf16"))) static void bf16_avx512(int64_t count, char* unused) {
  (void)unused;
  const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80), b = (__m512bh)_mm512_set1_epi32(0x38003800);
#define START(i) __m512 s##i = _mm512_set1_ps(1.0f + i);
#define STEP(i) s##i = _mm512_dpbf16_ps(s##i, a, b);
#define SUM(i) total = _mm512_add_ps(total, s##i);
  ACCUMULATORS_24(START)
  for (int64_t n = 0; n < count; ++n) {
    ACCUMULATORS_24(STEP)
    ACCUMULATORS_24(KEEP_ZMM)
  }
  __m512 total = _mm512_setzero_ps();
  ACCUMULATORS_24(SUM)
  sink = _mm512_reduce_add_ps(total);
#undef START
#undef STEP
#undef SUM
}

__attribute__((target("avx512f,avx512vnni"))) static void int8_avx512(int64_t count, char* unused) {
  (void)unused;
  const __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
#define START(i) __m512i s##i = _mm512_set1_epi32(i);
#define STEP(i) s##i = _mm512_dpbusd_epi32(s##i, a, b);
#define SUM(i) total = _mm512_add_epi32(total, s##i);
  ACCUMULATORS_24(START)
  for (int64_t n = 0; n < count; ++n) {
    ACCUMULATORS_24(STEP)
    ACCUMULATORS_24(KEEP_ZMM)
  }
  __m512i total = _mm512_setzero_si512();
  ACCUMULATORS_24(SUM)
  sink = (float)_mm512_reduce_add_epi32(total);
#undef START
#undef STEP
#undef SUM
}

__attribute__((target("avx2,fma"))) static void fma_avx2(int64_t count, char* unused) {
  (void)unused;
  const __m256 a = _mm256_set1_ps(1.0001f), b = _mm256_set1_ps(1e-6f);
#define START(i) __m256 s##i = _mm256_set1_ps(1.0f + i);
#define STEP(i) s##i = _mm256_fmadd_ps(a, b, s##i);
#define SUM(i) total = _mm256_add_ps(total, s##i);
  ACCUMULATORS_12(START)
  for (int64_t n = 0; n < count; ++n) {
    ACCUMULATORS_12(STEP)
    ACCUMULATORS_12(KEEP_YMM)
  }
  __m256 total = _mm256_setzero_ps();
  ACCUMULATORS_12(SUM)
  float lanes[8];
  _mm256_storeu_ps(lanes, total);
  sink = lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
#undef START
#undef STEP
#undef SUM
}

// One pass over memory, 512 bytes a step: reading only, which the processor's own prefetchers do best (a prefetch instruction
// 2 KiB ahead costs a fifth on Zen 4 and gains a twentieth on Zen 5), or adding to every word in place.
// `count` is a multiple of 512.
__attribute__((target("avx512f"))) static void read_avx512(int64_t count, char* begin) {
  __m512i s[8];
  for (int i = 0; i < 8; ++i) {
    s[i] = _mm512_setzero_si512();
  }
  for (int64_t n = 0; n < count; n += 512) {
    for (int i = 0; i < 8; ++i) {
      s[i] = _mm512_add_epi32(s[i], _mm512_loadu_si512(begin + n + i * 64));
    }
  }
  for (int i = 1; i < 8; ++i) {
    s[0] = _mm512_add_epi32(s[0], s[i]);
  }
  sink = (float)_mm512_reduce_add_epi32(s[0]);
}

__attribute__((target("avx2"))) static void read_avx2(int64_t count, char* begin) {
  __m256i s[8];
  for (int i = 0; i < 8; ++i) {
    s[i] = _mm256_setzero_si256();
  }
  for (int64_t n = 0; n < count; n += 512) {
    for (int i = 0; i < 8; ++i) {
      const char* line = begin + n + i * 64;
      s[i] = _mm256_add_epi32(s[i], _mm256_loadu_si256((const __m256i*)line));
      s[i] = _mm256_add_epi32(s[i], _mm256_loadu_si256((const __m256i*)(line + 32)));
    }
  }
  for (int i = 1; i < 8; ++i) {
    s[0] = _mm256_add_epi32(s[0], s[i]);
  }
  int32_t lanes[8];
  _mm256_storeu_si256((__m256i*)lanes, s[0]);
  sink = (float)lanes[0];
}

__attribute__((target("avx512f"))) static void update_avx512(int64_t count, char* begin) {
  const __m512i one = _mm512_set1_epi32(1);
  for (int64_t n = 0; n < count; n += 512) {
    for (int i = 0; i < 8; ++i) {
      char* line = begin + n + i * 64;
      _mm_prefetch(line + 2048, _MM_HINT_NTA);
      _mm512_storeu_si512(line, _mm512_add_epi32(one, _mm512_loadu_si512(line)));
    }
  }
}

__attribute__((target("avx2"))) static void update_avx2(int64_t count, char* begin) {
  const __m256i one = _mm256_set1_epi32(1);
  for (int64_t n = 0; n < count; n += 512) {
    for (int i = 0; i < 16; ++i) {
      __m256i* half = (__m256i*)(begin + n + i * 32);
      _mm256_storeu_si256(half, _mm256_add_epi32(one, _mm256_loadu_si256(half)));
    }
  }
}

static int has_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }

static int has_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16") != 0; }

static int has_int8(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni") != 0; }

static int clamp_threads(jint threads) { return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads; }

static jlong compute(jint threads, jlong iterations, void (*body)(int64_t, char*), int64_t operations) {
  const int n = clamp_threads(threads);
  Task tasks[MAX_THREADS];
  for (int i = 0; i < n; ++i) {
    tasks[i] = (Task){body, iterations, 0};
  }
  run_tasks(tasks, n);
  return iterations * operations * n;
}

JNIEXPORT jboolean JNICALL Java_dev_lanes_bench_ceiling_Machine_hasAvx2(JNIEnv* env, jclass type) {
  (void)env, (void)type;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? JNI_TRUE : JNI_FALSE;
}

JNIEXPORT jboolean JNICALL Java_dev_lanes_bench_ceiling_Machine_hasBf16Dot(JNIEnv* env, jclass type) {
  (void)env, (void)type;
  return has_bf16() ? JNI_TRUE : JNI_FALSE;
}

JNIEXPORT jboolean JNICALL Java_dev_lanes_bench_ceiling_Machine_hasInt8Dot(JNIEnv* env, jclass type) {
  (void)env, (void)type;
  return has_int8() ? JNI_TRUE : JNI_FALSE;
}

// A multiply and an add are two operations; so is each of the products of a bfloat16 or int8 dot.
JNIEXPORT jlong JNICALL Java_dev_lanes_bench_ceiling_Machine_fma(JNIEnv* env, jclass type, jint threads, jlong iterations) {
  (void)env, (void)type;
  return has_avx512() ? compute(threads, iterations, fma_avx512, 24 * 16 * 2) : compute(threads, iterations, fma_avx2, 12 * 8 * 2);
}

JNIEXPORT jlong JNICALL Java_dev_lanes_bench_ceiling_Machine_fma256(JNIEnv* env, jclass type, jint threads, jlong iterations) {
  (void)env, (void)type;
  return compute(threads, iterations, fma_avx2, 12 * 8 * 2);
}

JNIEXPORT jlong JNICALL Java_dev_lanes_bench_ceiling_Machine_bf16Dot(JNIEnv* env, jclass type, jint threads, jlong iterations) {
  (void)env, (void)type;
  return has_bf16() ? compute(threads, iterations, bf16_avx512, 24 * 32 * 2) : 0;
}

JNIEXPORT jlong JNICALL Java_dev_lanes_bench_ceiling_Machine_int8Dot(JNIEnv* env, jclass type, jint threads, jlong iterations) {
  (void)env, (void)type;
  return has_int8() ? compute(threads, iterations, int8_avx512, 24 * 64 * 2) : 0;
}

static void pass(jint threads, jlong address, jlong bytes, void (*body)(int64_t, char*)) {
  const int n = clamp_threads(threads);
  const int64_t each = bytes / n / 512 * 512;
  Task tasks[MAX_THREADS];
  for (int i = 0; i < n; ++i) {
    tasks[i] = (Task){body, each, (char*)(intptr_t)address + i * each};
  }
  run_tasks(tasks, n);
}

JNIEXPORT void JNICALL Java_dev_lanes_bench_ceiling_Machine_read(JNIEnv* env, jclass type, jint threads, jlong address, jlong bytes) {
  (void)env, (void)type;
  pass(threads, address, bytes, has_avx512() ? read_avx512 : read_avx2);
}

JNIEXPORT void JNICALL Java_dev_lanes_bench_ceiling_Machine_update(JNIEnv* env, jclass type, jint threads, jlong address, jlong bytes) {
  (void)env, (void)type;
  pass(threads, address, bytes, has_avx512() ? update_avx512 : update_avx2);
}

// Memory in huge pages where the system gives them, every page touched; 0 when there is none.
JNIEXPORT jlong JNICALL Java_dev_lanes_bench_ceiling_Machine_allocate(JNIEnv* env, jclass type, jlong bytes) {
  (void)env, (void)type;
  char* memory = mmap(0, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return 0;
  }
  madvise(memory, (size_t)bytes, MADV_HUGEPAGE);
  for (int64_t i = 0; i < bytes; i += 8) {
    *(int64_t*)(memory + i) = i * INT64_C(0x9E3779B97F4A7C15);
  }
  return (jlong)(intptr_t)memory;
}

JNIEXPORT void JNICALL Java_dev_lanes_bench_ceiling_Machine_free(JNIEnv* env, jclass type, jlong address, jlong bytes) {
  (void)env, (void)type;
  munmap((void*)(intptr_t)address, (size_t)bytes);
}

// Calls `name(value)` in a library that a peer has loaded already; false when no such library is loaded.
JNIEXPORT jboolean JNICALL Java_dev_lanes_bench_ceiling_Machine_callLoaded(
    JNIEnv* env, jclass type, jstring library, jstring name, jint value) {
  (void)type;
  const char* library_chars = (*env)->GetStringUTFChars(env, library, 0);
  const char* name_chars = (*env)->GetStringUTFChars(env, name, 0);
  jboolean done = JNI_FALSE;
  void* handle = library_chars && name_chars ? dlopen(library_chars, RTLD_LAZY | RTLD_NOLOAD) : 0;
  if (handle) {
    void (*function)(int);
    *(void**)&function = dlsym(handle, name_chars);
    if (function) {
      function(value);
      done = JNI_TRUE;
    }
    dlclose(handle);
  }
  if (library_chars) {
    (*env)->ReleaseStringUTFChars(env, library, library_chars);
  }
  if (name_chars) {
    (*env)->ReleaseStringUTFChars(env, name, name_chars);
  }
  return done;
}
