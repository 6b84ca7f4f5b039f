// Seeded random inputs. LANES_TEST_SEED replaces the default seed; a failing test prints the seed it used.
#ifndef LANES_TESTS_SUPPORT_RANDOM_H_
#define LANES_TESTS_SUPPORT_RANDOM_H_

#include <cstdint>
#include <vector>

namespace lanes_test {

uint64_t Seed();

// SplitMix64 (Steele, Lea and Flood 2014).
class Random {
 public:
  // `stream` tells apart the generators of one test.
  explicit Random(uint64_t stream = 0) : state_(Seed() * 0x9E3779B97F4A7C15u + stream * 0xD1B54A32D192ED03u) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // In [lowest, highest].
  int64_t Integer(int64_t lowest, int64_t highest) {
    return lowest + static_cast<int64_t>(Next() % static_cast<uint64_t>(highest - lowest + 1));
  }
  // In [-1, 1).
  float Uniform() { return static_cast<float>(static_cast<double>(Next() >> 11) * 0x1p-52 - 1.0); }
  bool Chance(int one_in) { return Next() % one_in == 0; }

  std::vector<float> Floats(int64_t count, float scale = 1.0f) {
    std::vector<float> values(count);
    for (float& value : values) value = Uniform() * scale;
    return values;
  }
  // Integers in [-limit, limit], which sums of products keep exact.
  std::vector<float> SmallIntegers(int64_t count, int limit) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(Integer(-limit, limit));
    return values;
  }

 private:
  uint64_t state_;
};

}  // namespace lanes_test

#endif  // LANES_TESTS_SUPPORT_RANDOM_H_
