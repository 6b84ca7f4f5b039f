// The wgmma attention kernel against the order of attention.h, done row by row: every bit, under every schedule.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cuda/attention/kernels.h"
#include "cuda/attention/sm90.h"
#include "cuda/common/ptx.cuh"
#include "emulation/control.h"
#include "emulation/matrix.h"
#include "immediate_device.h"

namespace lanes::cuda {
namespace {

using emulation::Schedule;

struct SequenceCase {
  int64_t queries, kv, window, sinks;
};

struct AttentionCase {
  int32_t dim, kv_heads, group;
  bool causal;
  int32_t multiprocessors;
  std::vector<SequenceCase> sequences;
  int64_t q_pad = 0;
  bool split = false;  // each block takes one split, whose part of the result is looked at

  std::string Describe() const {
    std::string text = "dim " + std::to_string(dim) + ", kv heads " + std::to_string(kv_heads) + ", group " + std::to_string(group);
    for (const SequenceCase& s : sequences) {
      text += ", ";
      for (const int64_t number : {s.queries, s.kv, s.window, s.sinks}) text += std::to_string(number) + "/";
    }
    return text;
  }
};

// kNan is one in bfloat16 and in IEEE halves.
constexpr uint16_t kNan = 0x7FC1, kInfinity = 0x7F80, kInfinityF16 = 0x7C00;
constexpr float kPoison = -77.f;
constexpr float kFactor = 0.21f;

// A row's part of the result, as a split leaves it, or all of it.
struct Part {
  float maximum, sum;
  std::vector<float> output;
};

class Problem {
 public:
  // Pages of IEEE halves, or of bfloat16.
  Problem(const AttentionCase& c, uint64_t seed, bool f16) : c_(c), f16_(f16), random_(seed) {
    for (const SequenceCase& s : c.sequences) {
      tokens_ += s.queries;
      pages_ += (s.kv + LANES_PAGE_TOKENS - 1) / LANES_PAGE_TOKENS;
      table_stride_ = std::max(table_stride_, (s.kv + LANES_PAGE_TOKENS - 1) / LANES_PAGE_TOKENS);
    }
    pages_ += 2;
    layout_ = {nullptr, 2 * LANES_PAGE_TOKENS * c.dim * 2, static_cast<int32_t>(pages_), c.kv_heads, c.dim, c.dim, 2, f16 ? LANES_F16 : LANES_BF16};
    q_.resize(static_cast<size_t>(tokens_ * QStride()));
    for (float& x : q_) x = Number() * 3;
    pool_.assign(static_cast<size_t>(kLayers * pages_ * c.kv_heads * 2 * LANES_PAGE_TOKENS * c.dim), kNan);
    FillPages();
  }

  int64_t QStride() const { return int64_t{c_.kv_heads} * c_.group * c_.dim + c_.q_pad; }
  // Of key `key` (or its value) of a sequence, dimension 0.
  uint16_t* Element(size_t sequence, int64_t key, int32_t kv_head, bool value) {
    const int32_t page = table_[sequence * static_cast<size_t>(table_stride_) + static_cast<size_t>(key / LANES_PAGE_TOKENS)];
    EXPECT_GE(page, 0);
    return &pool_[static_cast<size_t>(layout_.Block(kLayer, page, kv_head) / 2 +
                                      ((value ? LANES_PAGE_TOKENS : 0) + key % LANES_PAGE_TOKENS) * c_.dim)];
  }

  std::vector<RowBlock> Blocks(int32_t rows) const {
    std::vector<RowBlock> blocks(1);  // one of no rows, as lists that are rounded up have
    int64_t first = 0;
    for (size_t s = 0; s < c_.sequences.size(); ++s) {
      const SequenceCase& sequence = c_.sequences[s];
      for (int64_t row = 0; row < sequence.queries * c_.group; row += rows) {
        RowBlock block = {};
        block.first_token = first;
        block.base = sequence.kv - sequence.queries;
        block.kv_len = sequence.kv;
        block.window = sequence.window;
        block.sinks = sequence.sinks;
        block.row_begin = row;
        block.rows = static_cast<int32_t>(std::min<int64_t>(rows, sequence.queries * c_.group - row));
        block.sequence = static_cast<int32_t>(s);
        block.split_end = static_cast<int32_t>((sequence.kv + kSplitKeys - 1) / kSplitKeys);
        block.partial = -1;
        if (!c_.split) {
          blocks.push_back(block);
          continue;
        }
        const BlockView view = ViewOf(block, c_.causal, c_.group);
        for (int32_t split = 0, end = block.split_end; split < end; ++split) {
          if (!view.Touches(split * int64_t{kSplitKeys}, kSplitKeys)) continue;
          block.split_begin = split;
          block.split_end = split + 1;
          block.partial = static_cast<int32_t>(blocks.size());
          blocks.push_back(block);
        }
      }
      first += sequence.queries;
    }
    return blocks;
  }

  // `out` [tokens, QStride()], and of a split case the slots.
  struct Result {
    std::vector<float> out, slots;
  };
  Result Run(ImmediateDevice& device) {
    const int32_t rows = Sm90Rows(device.limits(), layout_);
    EXPECT_EQ(rows, c_.dim == 64 ? 192 : 128);
    const std::vector<RowBlock> blocks = Blocks(rows);
    const AttentionArgs args = Args(device, blocks, rows);
    EXPECT_TRUE(LaunchSm90(device, args, blocks.data(), static_cast<int32_t>(blocks.size()))) << emulation::LastFault();
    const int64_t slot_floats = static_cast<int64_t>(blocks.size()) * c_.kv_heads * args.slot_floats;
    return {device.Get(args.out, static_cast<int64_t>(q_.size())), device.Get(args.partials, slot_floats)};
  }
  std::vector<float> RunPortable(ImmediateDevice& device) {
    AttentionShape shape = {};
    shape.multiprocessors = c_.multiprocessors;
    shape.shared_bytes = device.limits().shared_bytes;
    shape.kv_heads = c_.kv_heads;
    shape.group = c_.group;
    shape.row = c_.dim;
    shape.element_bytes = 2;
    shape.compute = f16_ ? LANES_COMPUTE_F16 : LANES_COMPUTE_BF16;
    const SharedPlan shared = PrefillShared(shape);
    const std::vector<RowBlock> blocks = Blocks(kPrefillRows);
    AttentionLaunch launch = {Args(device, blocks, kPrefillRows), kPrefillRows, shared.bytes};
    launch.args.stages = shared.stages;
    launch.args.q_rows = shared.q_rows;
    LaunchPrefill(device, launch);
    return device.Get(launch.args.out, static_cast<int64_t>(q_.size()));
  }

  AttentionArgs Args(ImmediateDevice& device, const std::vector<RowBlock>& blocks, int32_t rows) {
    AttentionArgs args = {};
    args.pool = layout_;
    args.pool.data = reinterpret_cast<unsigned char*>(device.Put(pool_));
    args.q = device.Put(q_);
    args.out = device.Put(std::vector<float>(q_.size(), kPoison));
    args.q_stride = args.out_stride = QStride();
    args.blocks = device.Put(blocks);
    args.block_count = static_cast<int64_t>(blocks.size());
    args.page_table = device.Put(table_);
    args.page_table_stride = table_stride_;
    args.slot_rows = rows;
    args.slot_floats = int64_t{rows} * (c_.dim + 2);
    const std::vector<float> slots(static_cast<size_t>(static_cast<int64_t>(blocks.size()) * c_.kv_heads * args.slot_floats), kPoison);
    args.partials = device.Put(slots);
    args.layer = kLayer;
    args.group = c_.group;
    args.causal = c_.causal;
    args.factor = kFactor;
    return args;
  }

  // Row `row` of a block, in attention.h's order, tile by tile with the emulation's tensor core; of splits [begin, end).
  std::vector<Part> Splits(const RowBlock& block, int32_t kv_head, int64_t row) {
    const int64_t of_sequence = block.row_begin + row, token = of_sequence / c_.group;
    const int64_t head = kv_head * c_.group + of_sequence % c_.group;
    const float* q = &q_[static_cast<size_t>((block.first_token + token) * QStride() + head * c_.dim)];
    std::vector<float> x(static_cast<size_t>(c_.dim));
    float power = 1;
    if (f16_) {
      float largest = 0;
      for (size_t d = 0; d < x.size(); ++d) largest = std::max(largest, std::fabs(q[d] * kFactor));
      power = std::ldexp(1.f, 14 - std::ilogb(largest));
    }
    for (size_t d = 0; d < x.size(); ++d) x[d] = Widen(Narrow(q[d] * kFactor * power));
    const Visible visible = VisibleTo(block, c_.causal, token);
    std::vector<Part> parts;
    for (int32_t split = block.split_begin; split < block.split_end; ++split) {
      Part part = {-std::numeric_limits<float>::infinity(), 0.f, std::vector<float>(x.size())};
      float l[4] = {};
      for (int64_t first = split * int64_t{kSplitKeys}; first < (split + 1) * int64_t{kSplitKeys}; first += kTileKeys) {
        AddTile(x, power, visible, block.sequence, kv_head, first, &part, l);
      }
      part.sum = (l[0] + l[1]) + (l[2] + l[3]);
      parts.push_back(part);
    }
    return parts;
  }

  static std::vector<float> Merge(const std::vector<Part>& parts) {
    float maximum = 0, sum = 0;
    std::vector<float> total(parts[0].output.size());
    for (const Part& part : parts) {
      if (part.sum == 0) continue;
      if (sum == 0) {
        maximum = part.maximum, sum = part.sum, total = part.output;
        continue;
      }
      const float largest = std::max(maximum, part.maximum), f = Exp2(maximum - largest), g = Exp2(part.maximum - largest);
      sum = fmaf(part.sum, g, sum * f);
      for (size_t d = 0; d < total.size(); ++d) total[d] = fmaf(part.output[d], g, total[d] * f);
      maximum = largest;
    }
    for (float& t : total) t = t * (1 / sum) + 0.f;
    return total;
  }

  std::vector<float>& q() { return q_; }
  const KvLayout& layout() const { return layout_; }

 private:
  static constexpr int32_t kLayers = 2, kLayer = 1;

  uint16_t Narrow(float x) const { return f16_ ? ToF16(x) : ToBf16(x); }
  float Widen(uint16_t x) const { return f16_ ? FromF16(x) : FromBf16(x); }

  float Number() { return std::uniform_real_distribution<float>(-1, 1)(random_); }

  // Pages in any order. What no query sees is NaN, and a page of nothing else has no number.
  void FillPages() {
    std::vector<int32_t> order(static_cast<size_t>(pages_));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::shuffle(order.begin(), order.end(), random_);
    table_.assign(c_.sequences.size() * static_cast<size_t>(table_stride_), -1);
    size_t next = 0;
    for (size_t s = 0; s < c_.sequences.size(); ++s) {
      const SequenceCase& sequence = c_.sequences[s];
      RowBlock all = {};
      all.base = sequence.kv - sequence.queries;
      all.kv_len = sequence.kv;
      all.window = sequence.window;
      all.sinks = sequence.sinks;
      all.rows = static_cast<int32_t>(sequence.queries * c_.group);
      const BlockView view = ViewOf(all, c_.causal, c_.group);
      for (int64_t key = 0; key < sequence.kv; ++key) {
        if (!view.Loads(key)) continue;
        int32_t& page = table_[s * static_cast<size_t>(table_stride_) + static_cast<size_t>(key / LANES_PAGE_TOKENS)];
        if (page < 0) page = order[next++];
        for (int32_t head = 0; head < c_.kv_heads; ++head) {
          for (const bool value : {false, true}) {
            uint16_t* element = Element(s, key, head, value);
            for (int32_t d = 0; d < c_.dim; ++d) element[d] = Narrow(Number());
          }
        }
      }
    }
  }

  // `power`: what x was multiplied with.
  void AddTile(const std::vector<float>& x, float power, const Visible& visible, int32_t sequence, int32_t kv_head, int64_t first,
               Part* part, float* l) {
    bool seen[kTileKeys], any = false;
    for (int32_t i = 0; i < kTileKeys; ++i) any = (seen[i] = visible.Sees(first + i)) || any;
    if (!any) return;
    float scores[16 * kTileKeys] = {};
    emulation::TileA a = {};
    for (size_t k = 0; k < x.size(); k += 16) {
      for (size_t i = 0; i < 16; ++i) a.v[0][i] = x[k + i];
      for (int32_t column = 0; column < kTileKeys; column += 8) {
        emulation::TileB b = {};
        for (int32_t j = 0; j < 8; ++j) {
          if (!seen[column + j]) continue;
          const uint16_t* key = Element(static_cast<size_t>(sequence), first + column + j, kv_head, false);
          for (size_t i = 0; i < 16; ++i) b.v[i][j] = Widen(key[k + i]);
        }
        emulation::MultiplyAdd(a, b, scores + column, kTileKeys);
      }
    }
    float maximum = part->maximum;
    for (int32_t i = 0; i < kTileKeys; ++i) {
      scores[i] = seen[i] ? scores[i] / power : -std::numeric_limits<float>::infinity();
      maximum = fmaxf(maximum, scores[i]);
    }
    const float base = std::isinf(maximum) && maximum < 0 ? 0.f : maximum, alpha = Exp2(part->maximum - base);
    part->maximum = maximum;
    float weights[kTileKeys];
    for (int32_t i = 0; i < kTileKeys; ++i) weights[i] = Widen(Narrow(Exp2(scores[i] - base)));
    for (int32_t t = 0; t < 4; ++t) {
      float sum = 0;
      for (int32_t i = 0; i < kTileKeys; i += 16) {
        const float* w = weights + i + 2 * t;
        const float u = (w[0] + w[1]) + (w[8] + w[9]);
        sum = i == 0 ? u : sum + u;
      }
      l[t] = fmaf(l[t], alpha, sum);
    }
    std::vector<float> output(16 * x.size());
    for (size_t d = 0; d < x.size(); ++d) output[d] = part->output[d] * alpha;
    for (int32_t k = 0; k < kTileKeys; k += 16) {
      for (int32_t i = 0; i < 16; ++i) a.v[0][i] = weights[k + i];
      for (size_t column = 0; column < x.size(); column += 8) {
        emulation::TileB b = {};
        for (int32_t i = 0; i < 16; ++i) {
          if (!seen[k + i]) continue;
          const uint16_t* value = Element(static_cast<size_t>(sequence), first + k + i, kv_head, true);
          for (size_t j = 0; j < 8; ++j) b.v[i][j] = Widen(value[column + j]);
        }
        emulation::MultiplyAdd(a, b, &output[column], static_cast<int>(x.size()));
      }
    }
    std::copy_n(output.begin(), x.size(), part->output.begin());
  }

  const AttentionCase& c_;
  const bool f16_;
  std::mt19937_64 random_;
  int64_t tokens_ = 0, pages_ = 0, table_stride_ = 0;
  KvLayout layout_;
  std::vector<float> q_;
  std::vector<uint16_t> pool_;
  std::vector<int32_t> table_;
};

bool Same(float a, float b) { return (std::isnan(a) && std::isnan(b)) || memcmp(&a, &b, 4) == 0; }

class AttentionSm90 : public ::testing::Test {
 protected:
  void TearDown() override { emulation::SetSchedule(Schedule::kForward); }

  static void SetSchedule(int i) {
    emulation::SetSchedule(i == 0 ? Schedule::kForward : i == 1 ? Schedule::kBackward : Schedule::kRandom, static_cast<uint64_t>(i));
  }

  // Some rows of each block, among them the first and the last.
  static void Check(const AttentionCase& c, Problem* problem, const Problem::Result& result) {
    const int32_t rows = c.dim == 64 ? 192 : 128;
    const std::vector<RowBlock> blocks = problem->Blocks(rows);
    for (const RowBlock& block : blocks) {
      for (int32_t head = 0; head < c.kv_heads && block.rows > 0; ++head) {
        for (int32_t row = 0; row < block.rows; row = row + 1 == block.rows ? row + 1 : std::min(row + 7, block.rows - 1)) {
          const std::vector<Part> parts = problem->Splits(block, head, row);
          const float* got;
          std::vector<float> expected;
          if (block.partial >= 0) {
            const float* slot = &result.slots[static_cast<size_t>((block.partial * c.kv_heads + head) * rows * (c.dim + 2))];
            got = slot + row * c.dim;
            expected = parts[0].output;
            ASSERT_TRUE(Same(slot[rows * c.dim + row], parts[0].maximum)) << "row " << row;
            ASSERT_TRUE(Same(slot[rows * (c.dim + 1) + row], parts[0].sum)) << "row " << row;
            for (float& x : expected) x += 0.f;
          } else {
            const int64_t of_sequence = block.row_begin + row;
            got = &result.out[static_cast<size_t>((block.first_token + of_sequence / c.group) * problem->QStride() +
                                                  (head * c.group + of_sequence % c.group) * c.dim)];
            expected = Problem::Merge(parts);
          }
          for (int32_t d = 0; d < c.dim; ++d) {
            ASSERT_TRUE(Same(got[d] + 0.f, expected[static_cast<size_t>(d)]))
                << "sequence " << block.sequence << ", row " << block.row_begin + row << ", head " << head << ", dim " << d << ": "
                << got[d] << ", expected " << expected[static_cast<size_t>(d)];
          }
        }
      }
    }
    for (size_t i = 0; i < result.out.size(); ++i) {
      const bool padding = static_cast<int64_t>(i) % problem->QStride() >= problem->QStride() - c.q_pad;
      ASSERT_EQ(result.out[i] == kPoison, padding || c.split) << i;
    }
  }
};

const AttentionCase kCases[] = {
    {64, 1, 1, true, 1, {{1, 1, 0, 0}}},
    {128, 1, 1, true, 1, {{70, 70, 0, 0}}, 4},
    {64, 2, 3, true, 3, {{33, 150, 0, 0}, {70, 70, 0, 0}, {5, 128, 0, 0}}},
    {128, 2, 4, true, 2, {{40, 257, 0, 0}, {64, 64, 0, 0}}, 12},
    {128, 1, 2, false, 1, {{50, 191, 0, 0}, {3, 64, 0, 0}}},
    {64, 1, 5, false, 2, {{50, 330, 0, 0}}},
    // Several splits, whose boundaries tiles of a block cross or do not.
    {64, 1, 2, true, 1, {{150, 1100, 0, 0}}},
    {128, 1, 1, true, 1, {{90, 2200, 0, 0}, {20, 1025, 0, 0}}},
    // Windows and sinks: of one token, across tiles and splits, with pages that are not there.
    {64, 1, 1, true, 1, {{200, 200, 1, 0}, {260, 300, 100, 0}}},
    {128, 1, 2, true, 2, {{100, 400, 70, 5}, {30, 1500, 200, 130}}},
    {64, 2, 1, true, 1, {{220, 2300, 1030, 64}, {10, 2300, 100, 1100}}},
    // One split at a time.
    {128, 1, 1, true, 2, {{100, 2200, 0, 0}}, 0, true},
    {64, 1, 2, true, 1, {{60, 2100, 900, 66}}, 0, true},
};

TEST_F(AttentionSm90, GivesTheBitsOfItsContract) {
  uint64_t seed = 0;
  for (const AttentionCase& c : kCases) {
    SCOPED_TRACE(c.Describe());
    for (const bool f16 : {false, true}) {
      Problem problem(c, ++seed, f16);
      for (int schedule = f16 ? 2 : 0; schedule < 3; ++schedule) {
        SetSchedule(schedule);
        ImmediateDevice device(c.multiprocessors);
        const Problem::Result result = problem.Run(device);
        if (HasFailure()) return;
        Check(c, &problem, result);
        if (HasFailure()) return;
      }
    }
  }
}

// Also where values are not finite: infinity times a weight is infinity, or NaN where the weight is 0.
TEST_F(AttentionSm90, GivesTheBitsOfThePortablePath) {
  uint64_t seed = 20;
  int64_t infinities = 0, nans = 0;
  for (const AttentionCase& c : kCases) {
    if (c.split) continue;
    SCOPED_TRACE(c.Describe());
    for (const bool finite : {true, false}) {
      const bool f16 = seed % 3 == 2;
      Problem problem(c, ++seed, f16);
      if (!finite) {
        for (float& x : problem.q()) x *= 40;
        const int64_t last = c.sequences[0].kv - 1;
        problem.Element(0, last, 0, true)[5] = f16 ? kInfinityF16 : kInfinity;
        problem.Element(0, std::max<int64_t>(0, last - 2 * c.sequences[0].window / 3), c.kv_heads - 1, true)[c.dim - 1] = kNan;
      }
      ImmediateDevice device(c.multiprocessors);
      const std::vector<float> expected = problem.RunPortable(device), got = problem.Run(device).out;
      ASSERT_EQ(expected.size(), got.size());
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_TRUE(Same(expected[i], got[i])) << i << ": " << got[i] << ", expected " << expected[i];
        infinities += std::isinf(got[i]);
        nans += std::isnan(got[i]);
      }
    }
  }
  EXPECT_GT(infinities, 0);
  EXPECT_GT(nans, 0);
}

// NaN and infinity among keys and values reach the rows that see them and no others, in masked tiles and in whole ones.
TEST_F(AttentionSm90, WhatIsNotFiniteStaysInItsRows) {
  for (const int32_t variant : {0, 1, 2, 3}) {
    const int32_t dim = variant % 2 == 0 ? 64 : 128;
    const bool f16 = variant >= 2;
    const AttentionCase c = {dim, 1, 2, true, 1, {{300, 300, 0, 0}, {200, 400, 140, 3}}};
    SCOPED_TRACE(c.Describe());
    for (const uint16_t bad : {kNan, f16 ? kInfinityF16 : kInfinity}) {
      Problem clean(c, 5, f16), dirty(c, 5, f16);
      dirty.Element(0, 150, 0, true)[3] = bad;
      dirty.Element(0, 151, 0, true)[dim - 1] = bad;
      dirty.Element(0, 20, 0, false)[1] = bad;
      dirty.Element(1, 270, 0, true)[40] = bad;
      for (int schedule = 0; schedule < 2; ++schedule) {
        SetSchedule(schedule);
        ImmediateDevice device(1);
        const std::vector<float> expected = clean.Run(device).out, got = dirty.Run(device).out;
        for (int64_t token = 0; token < 500; ++token) {
          const int64_t position = token < 300 ? token : token - 100;
          for (int64_t i = 0; i < 2 * dim; ++i) {
            const int64_t d = i % dim, at = token * 2 * dim + i;
            bool sees = false;
            if (token < 300) {
              sees = position >= 20 || (d == 3 && position >= 150) || (d == dim - 1 && position >= 151);
            } else {
              sees = d == 40 && position >= 270 && position < 270 + 140;
            }
            if (sees && (token >= 300 || position >= 150 || bad == kNan)) {
              // An infinite key gives weights of infinity - infinity, or of 0.
              if (token < 300 && position >= 20 && bad != kNan && std::isfinite(got[static_cast<size_t>(at)])) continue;
              ASSERT_FALSE(std::isfinite(got[static_cast<size_t>(at)])) << "token " << token << ", dim " << d;
            } else if (!sees) {
              ASSERT_TRUE(Same(expected[static_cast<size_t>(at)], got[static_cast<size_t>(at)])) << "token " << token << ", dim " << d;
            }
          }
        }
        if (bad == kNan) continue;
        const float value = got[static_cast<size_t>((299 + 200) * 2 * dim + 40)];
        EXPECT_TRUE(std::isinf(value) && value > 0) << value;
      }
    }
  }
}

TEST_F(AttentionSm90, RefusesWhatItCannotDo) {
  ImmediateDevice device(2);
  KvLayout layout = {nullptr, 2 * LANES_PAGE_TOKENS * 64 * 2, 3, 2, 64, 64, 2, LANES_BF16};
  EXPECT_EQ(Sm90Rows(device.limits(), layout), 192);
  DeviceLimits other = device.limits();
  other.hopper_bits = false;
  EXPECT_EQ(Sm90Rows(other, layout), 0);
  KvLayout halves = layout;
  halves.dtype = LANES_F16;
  EXPECT_EQ(Sm90Rows(other, halves), 192);
  other.hopper_f16_bits = false;
  EXPECT_EQ(Sm90Rows(other, halves), 0);
  KvLayout wrong = layout;
  wrong.row = wrong.head_dim = 96;
  wrong.block_bytes = 2 * wrong.Values();
  EXPECT_EQ(Sm90Rows(device.limits(), wrong), 0);
  wrong = layout;
  wrong.head_dim = 60;
  EXPECT_EQ(Sm90Rows(device.limits(), wrong), 0);
  wrong = layout;
  wrong.element_bytes = 4;
  wrong.block_bytes = 2 * wrong.Values();
  EXPECT_EQ(Sm90Rows(device.limits(), wrong), 0);

  RowBlock block = {};
  block.kv_len = block.rows = block.split_end = 1;
  block.partial = -1;
  AttentionArgs args = {};
  float* memory = device.Put(std::vector<float>(4096));
  args.pool = layout;
  args.pool.data = static_cast<unsigned char*>(device.Allocate(3 * 2 * layout.block_bytes));
  args.q = args.out = memory;
  args.q_stride = args.out_stride = 128;
  args.group = args.causal = 1;
  const int64_t kernels = emulation::KernelsRun();
  const auto refused = [&](auto change) {
    AttentionArgs bad = args;
    change(&bad);
    EXPECT_FALSE(LaunchSm90(device, bad, &block, 1));
  };
  refused([&](AttentionArgs* a) { a->q_sink = memory; });
  refused([](AttentionArgs* a) { a->q_stride = 130; });
  refused([](AttentionArgs* a) { a->out_stride = 129; });
  refused([](AttentionArgs* a) { a->q += 1; });
  refused([](AttentionArgs* a) { a->out += 1; });
  refused([&](AttentionArgs* a) { a->out_bf16 = reinterpret_cast<uint16_t*>(memory) + 1; });
  block.kv_len = int64_t{1} << 31;
  EXPECT_FALSE(LaunchSm90(device, args, &block, 1));
  block.kv_len = 1;
  block.split_begin = 3;
  block.split_end = 4;
  EXPECT_FALSE(LaunchSm90(device, args, &block, 1));
  EXPECT_EQ(emulation::KernelsRun(), kernels);
}

}  // namespace
}  // namespace lanes::cuda
