// The kernels of attention, each of which gives a row the same bits, whether or not a device would have chosen it. Through the ABI they are
// tested by attention_test.
#include <array>
#include <cstring>

#include "cpu/scalar.h"
#include "cuda/attention/kernels.h"
#include "emulation/control.h"
#include "immediate_device.h"
#include "support/attention_problem.h"

namespace lanes::cuda {
namespace {

using lanes_test::AttentionKind;
using lanes_test::AttentionProblem;
using lanes_test::kAttentionKinds;
using lanes_test::Random;
using Rows = std::vector<std::vector<float>>;

// What decides which kernels run: with one multiprocessor nothing is divided, with very many everything is; little shared memory
// leaves rows to other kernels.
struct Machine {
  const char* name;
  int32_t multiprocessors, shared_bytes;
  bool hopper;
};
constexpr Machine kMachines[] = {{"132 multiprocessors", 132, 227 * 1024, false},
                                 {"one multiprocessor", 1, 227 * 1024, false},
                                 {"wgmma", 132, 227 * 1024, true},
                                 {"99 KB of shared memory", 1, 99 * 1024, false},
                                 {"99 KB and many multiprocessors", 100000, 99 * 1024, false},
                                 // The decode kernel takes prompts of wide heads; of the widest it has no room for every case.
                                 {"85 KB of shared memory", 1, 85 * 1024, false}};

// Queries [begin, end) of sequence `s`.
struct Part {
  size_t s;
  int64_t begin, end;
};

class Batch {
 public:
  Batch(const AttentionProblem& problem, std::vector<Part> parts, uint64_t placement) : problem_(problem), parts_(std::move(parts)) {
    const int32_t bytes = problem.dtype == LANES_F32 ? 4 : problem.dtype == LANES_S8 ? 1 : 2;
    pool_.kv_heads = problem.kv_heads;
    pool_.head_dim = problem.dim;
    pool_.row = (problem.dim + 15) / 16 * 16;
    pool_.element_bytes = bytes;
    pool_.dtype = problem.dtype;
    pool_.block_bytes = 2 * pool_.Values() + (bytes == 1 ? 2 * LANES_PAGE_TOKENS * 4 : 0);
    pool_.pages = 2;
    for (const Part& part : parts_) {
      const int64_t pages = (Keys(part) + LANES_PAGE_TOKENS - 1) / LANES_PAGE_TOKENS;
      pool_.pages += static_cast<int32_t>(pages);
      stride_ = std::max(stride_, pages);
    }
    // What no query of the batch sees stays NaN, and its pages are not there.
    memory_.assign(static_cast<size_t>(pool_.block_bytes * pool_.pages * pool_.kv_heads * 2), 0xFF);
    std::vector<int32_t> order(pool_.pages);
    for (int32_t i = 0; i < pool_.pages; ++i) order[i] = i;
    Random random(placement);
    for (int32_t i = pool_.pages - 1; i > 0; --i) std::swap(order[i], order[random.Integer(0, i)]);
    for (const Part& part : parts_) WritePart(part, &order);
  }

  // On a machine. The output goes to where the queries are, or becomes bfloat16.
  enum class Output { kApart, kInPlace, kBf16 };
  Rows Run(const Machine& machine, Output output = Output::kApart) const {
    ImmediateDevice device(machine.multiprocessors, machine.shared_bytes, machine.hopper);
    KvLayout pool = pool_;
    pool.data = device.Put(memory_);
    const int64_t width = problem_.Width();
    std::vector<float> q, q_sink;
    std::vector<int64_t> q_begin = {0}, kv_len, window, sinks;
    for (const Part& part : parts_) {
      const lanes_test::Sequence& s = problem_.sequences[part.s];
      q.insert(q.end(), s.q.begin() + part.begin * width, s.q.begin() + part.end * width);
      q_sink.insert(q_sink.end(), s.q_sink.begin() + part.begin * width, s.q_sink.begin() + part.end * width);
      q_begin.push_back(q_begin.back() + part.end - part.begin);
      kv_len.push_back(Keys(part));
      window.push_back(s.window);
      sinks.push_back(s.sinks);
    }
    float* const queries = device.Put(q);
    lanes_attention_params params = {};
    params.layer = 1;
    params.heads = problem_.heads;
    params.sequences = static_cast<int32_t>(parts_.size());
    params.causal = problem_.causal;
    params.scale = problem_.scale;
    params.tokens = q_begin.back();
    params.q = queries;
    params.q_sink = problem_.use_q_sink ? device.Put(q_sink) : nullptr;
    params.q_stride = params.out_stride = width;
    params.q_begin = q_begin.data();
    params.kv_len = kv_len.data();
    params.page_table = table_.data();
    params.page_table_len = table_.size();
    params.page_table_stride = stride_;
    params.window = window.data();
    params.sinks = sinks.data();
    if (output == Output::kBf16) {
      params.out_bf16 = device.Put(std::vector<uint16_t>(q.size(), 0xFFFF));
      params.out_bf16_stride = width;
    } else {
      params.out = output == Output::kInPlace ? queries : device.Put(std::vector<float>(q.size(), std::nanf("")));
    }
    params.compute = problem_.compute;
    RunAttention(device, pool, params);
    const auto count = static_cast<int64_t>(q.size());
    std::vector<float> out;
    if (output == Output::kBf16) {
      for (const uint16_t x : device.Get(params.out_bf16, count)) out.push_back(reference::Bf16ToFloat(x));
    } else {
      out = device.Get(params.out, count);
    }
    Rows rows;
    for (size_t i = 0; i < parts_.size(); ++i) rows.emplace_back(out.begin() + q_begin[i] * width, out.begin() + q_begin[i + 1] * width);
    return rows;
  }

 private:
  int64_t Keys(const Part& part) const { return problem_.sequences[part.s].kv - problem_.sequences[part.s].n + part.end; }

  void WritePart(const Part& part, std::vector<int32_t>* order) {
    const lanes_test::Sequence& s = problem_.sequences[part.s];
    const size_t table = table_.size();
    table_.resize(table + stride_, -1);
    for (int64_t j = 0; j < Keys(part); ++j) {
      bool seen = false;
      for (int64_t i = part.begin; i < part.end && !seen; ++i) seen = problem_.Visible(s, i, j);
      if (!seen) continue;
      int32_t& page = table_[table + j / LANES_PAGE_TOKENS];
      if (page < 0) {
        page = order->back();
        order->pop_back();
      }
      for (int32_t h = 0; h < problem_.kv_heads; ++h) {
        unsigned char* const block = &memory_[pool_.Block(1, page, h)];
        const int64_t at = (j * problem_.kv_heads + h) * problem_.dim, slot = j % LANES_PAGE_TOKENS;
        WriteRow(block + pool_.Keys(), slot, &s.k[at], block + pool_.KeyScales());
        WriteRow(block + pool_.Values(), slot, &s.v[at], block + pool_.ValueScales());
      }
    }
  }

  void WriteRow(unsigned char* rows, int64_t slot, const float* x, unsigned char* scales) const {
    unsigned char* const row = rows + slot * pool_.row * pool_.element_bytes;
    std::memset(row, 0, static_cast<size_t>(pool_.row) * pool_.element_bytes);
    const lanes_test::QuantizedRow quantized(x, problem_.dim);
    for (int64_t d = 0; d < problem_.dim; ++d) {
      const uint16_t half = problem_.dtype == LANES_F16 ? reference::FloatToF16(x[d]) : reference::FloatToBf16(x[d]);
      const auto s8 = static_cast<int8_t>(quantized.elements[d]);
      unsigned char* const to = row + d * pool_.element_bytes;
      if (pool_.element_bytes == 4) std::memcpy(to, x + d, 4);
      if (pool_.element_bytes == 2) std::memcpy(to, &half, 2);
      if (pool_.element_bytes == 1) std::memcpy(to, &s8, 1);
    }
    if (pool_.element_bytes == 1) std::memcpy(scales + slot * 4, &quantized.scale, 4);
  }

  const AttentionProblem& problem_;
  const std::vector<Part> parts_;
  KvLayout pool_ = {};
  std::vector<unsigned char> memory_;
  std::vector<int32_t> table_;
  int64_t stride_ = 1;
};

std::vector<Part> All(const AttentionProblem& problem) {
  std::vector<Part> parts;
  for (size_t s = 0; s < problem.sequences.size(); ++s) parts.push_back({s, 0, problem.sequences[s].n});
  return parts;
}

// Sequences: {queries, keys, window, sinks}.
struct Shape {
  int32_t dim, heads, kv_heads;
  bool causal, q_sink;
  std::vector<std::array<int64_t, 4>> sequences;
};
const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {
      {1, 2, 1, true, false, {{3, 3, 0, 0}, {1, 70, 0, 0}}},
      {24, 4, 2, true, false, {{50, 50, 0, 0}, {1, 300, 0, 0}, {2, 130, 0, 0}}},
      {17, 4, 4, false, false, {{13, 77, 0, 0}, {40, 200, 0, 0}}},
      {64, 8, 2, true, false, {{1, 500, 0, 0}, {1, 17, 0, 0}, {96, 160, 0, 0}}},
      {128, 8, 2, true, false, {{70, 130, 0, 0}, {1, 400, 0, 0}}},
      {80, 20, 1, true, false, {{7, 70, 0, 0}}},
      {256, 4, 1, true, false, {{27, 155, 0, 0}}},
      {512, 2, 1, true, false, {{7, 70, 0, 0}, {40, 50, 0, 0}}},
      {64, 8, 2, true, true, {{40, 300, 33, 65}, {1, 500, 128, 4}, {60, 200, 150, 10}}},
      {32, 4, 2, true, false, {{100, 200, 64, 0}, {1, 1000, 65, 0}}},
      {64, 4, 1, true, false, {{1, 2097, 0, 0}, {30, 2100, 0, 0}}},
      {32, 4, 2, true, true, {{50, 2300, 300, 4}, {1, 2200, 1100, 70}}},
      {8, 2, 2, false, false, {{40, 2200, 0, 0}}},
      {128, 2, 1, true, true, {{60, 300, 70, 20}}},
      {256, 2, 1, true, true, {{40, 200, 70, 20}}},
      {512, 2, 1, true, true, {{20, 150, 70, 20}}}};
  return shapes;
}

AttentionProblem MakeProblem(const Shape& shape, const AttentionKind& kind, uint64_t stream) {
  AttentionProblem problem = {};
  problem.dim = shape.dim;
  problem.heads = shape.heads;
  problem.kv_heads = shape.kv_heads;
  problem.dtype = kind.dtype;
  problem.compute = kind.compute;
  problem.causal = shape.causal;
  problem.use_q_sink = shape.q_sink;
  problem.scale = 1.0f / std::sqrt(static_cast<float>(shape.dim));
  for (const auto& s : shape.sequences) problem.sequences.push_back({s[0], s[1], s[2], s[3], {}, {}, {}, {}});
  Random random(stream);
  Fill(&problem, &random);
  return problem;
}

class AttentionKernelsTest : public ::testing::TestWithParam<emulation::Schedule> {
 protected:
  void SetUp() override { emulation::SetSchedule(GetParam()); }
  void TearDown() override { emulation::SetSchedule(emulation::Schedule::kForward); }

  // Orders other than the natural one take every third problem.
  static bool LeavesOut(uint64_t problem) {
    return GetParam() != emulation::Schedule::kForward && problem % 3 != (GetParam() == emulation::Schedule::kRandom ? 1 : 2);
  }
};
INSTANTIATE_TEST_SUITE_P(Schedules, AttentionKernelsTest,
                         ::testing::Values(emulation::Schedule::kForward, emulation::Schedule::kBackward, emulation::Schedule::kRandom));

void ExpectSame(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::memcmp(&a[i], &b[i], 4), 0) << what << ": element " << i << " is " << a[i] << " and " << b[i];
  }
}

TEST_P(AttentionKernelsTest, AllKernelsGiveTheSameBits) {
  uint64_t stream = 500;
  for (const Shape& shape : Shapes()) {
    for (const AttentionKind& kind : kAttentionKinds) {
      const AttentionProblem problem = MakeProblem(shape, kind, ++stream);
      if (LeavesOut(stream)) continue;
      const std::string what = "dim " + std::to_string(shape.dim) + " case " + std::to_string(stream);
      const Batch batch(problem, All(problem), stream), elsewhere(problem, All(problem), stream + 1);
      const Rows rows = batch.Run(kMachines[0]);
      for (size_t m = 1; m < std::size(kMachines); ++m) {
        if (kMachines[m].shared_bytes == 85 * 1024 && (shape.dim <= 64 || shape.dim > 256)) continue;
        const Rows others = elsewhere.Run(kMachines[m]);
        for (size_t s = 0; s < rows.size(); ++s) ASSERT_NO_FATAL_FAILURE(ExpectSame(rows[s], others[s], what + ", " + kMachines[m].name));
      }
      for (size_t s = 0; s < rows.size() && shape.causal; ++s) {
        // A prompt in chunks: what comes later is not there yet.
        const int64_t n = problem.sequences[s].n, chunk = n > 20 ? 9 + n / 2 : n > 4 ? 3 : 1;
        std::vector<float> chunks;
        for (int64_t begin = 0; begin < n; begin += chunk) {
          const Rows part = Batch(problem, {{s, begin, std::min(begin + chunk, n)}}, begin).Run(kMachines[begin % 3]);
          chunks.insert(chunks.end(), part[0].begin(), part[0].end());
        }
        ASSERT_NO_FATAL_FAILURE(ExpectSame(rows[s], chunks, what + ", chunks"));
      }
      if (!shape.q_sink) {
        const Rows replaced = batch.Run(kMachines[1], Batch::Output::kInPlace);
        for (size_t s = 0; s < rows.size(); ++s) ASSERT_NO_FATAL_FAILURE(ExpectSame(rows[s], replaced[s], what + ", in place"));
      }
      // With one multiprocessor blocks walk several splits, and what they have so far waits in memory of its own.
      const Rows halves = batch.Run(kMachines[1 + stream % 2], Batch::Output::kBf16);
      for (size_t s = 0; s < rows.size(); ++s) {
        ASSERT_NO_FATAL_FAILURE(ExpectSame(lanes_test::RoundTo(LANES_BF16, rows[s]), halves[s], what + ", as bfloat16"));
      }
      if (GetParam() != emulation::Schedule::kForward) continue;
      for (size_t s = 0; s < rows.size(); ++s) {
        const lanes_test::Unfused<double> truth(problem, problem.sequences[s]);
        const lanes_test::Unfused<float> unfused(problem, problem.sequences[s]);
        double arithmetic = 0;
        for (size_t i = 0; i < rows[s].size(); ++i) arithmetic = std::max(arithmetic, std::fabs(unfused.out[i] - truth.out[i]));
        for (size_t i = 0; i < rows[s].size(); ++i) {
          ASSERT_LE(std::fabs(rows[s][i] - truth.out[i]), 2 * arithmetic + 8 * 0x1p-24 + truth.allowed[i]) << what << " element " << i;
        }
      }
    }
  }
}

// Infinity and NaN among values reach the rows that see them, in their dimension, and nobody else.
TEST_P(AttentionKernelsTest, ValuesThatAreNotFiniteStayWithThoseWhoSeeThem) {
  uint64_t stream = 900;
  for (const Shape& shape : Shapes()) {
    if (!shape.causal || shape.sequences[0][0] < 3) continue;
    for (const AttentionKind& kind : {AttentionKind{LANES_BF16, LANES_COMPUTE_BF16}, AttentionKind{LANES_BF16, LANES_COMPUTE_EXACT},
                                      AttentionKind{LANES_F16, LANES_COMPUTE_F16}}) {
      const AttentionProblem problem = MakeProblem(shape, kind, ++stream);
      if (LeavesOut(stream)) continue;
      AttentionProblem dirty = problem;
      lanes_test::Sequence& s = dirty.sequences[0];
      const int64_t infinite = s.kv - s.n + s.n / 2, nan = infinite - 1, nan_dim = shape.dim / 2, width = problem.Width();
      s.v[infinite * problem.KvWidth()] = INFINITY;
      s.v[nan * problem.KvWidth() + nan_dim] = std::nanf("");
      for (const Machine& machine : {kMachines[0], kMachines[1], kMachines[2]}) {
        const Rows clean = Batch(problem, All(problem), 1).Run(machine), rows = Batch(dirty, All(dirty), 1).Run(machine);
        for (int64_t i = 0; i < s.n * width; ++i) {
          const int64_t query = i / width, head = i % width / shape.dim, d = i % shape.dim;
          const bool sees = head < shape.heads / shape.kv_heads && ((d == 0 && dirty.Visible(s, query, infinite)) ||
                                                                    (d == nan_dim && dirty.Visible(s, query, nan)));
          ASSERT_EQ(sees, !std::isfinite(rows[0][i])) << machine.name << " dim " << shape.dim << " query " << query << " element " << d;
          if (sees) continue;
          ASSERT_EQ(std::memcmp(&rows[0][i], &clean[0][i], 4), 0) << machine.name << " query " << query << " element " << d;
        }
        for (size_t other = 1; other < rows.size(); ++other) {
          ASSERT_NO_FATAL_FAILURE(ExpectSame(clean[other], rows[other], "another sequence"));
        }
      }
    }
  }
}

}  // namespace
}  // namespace lanes::cuda
