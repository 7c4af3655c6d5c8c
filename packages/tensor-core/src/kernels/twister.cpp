// MT19937 (Matsumoto and Nishimura 1998) and the bit-exact numbers that PyTorch's CPU operators compute from its words.
//
// Note [PyTorch's roundings]
// PyTorch's kernels for AVX2 and later round only once in a * b + c wherever GCC contracted the expression. To round in
// the same way, this file is compiled without contraction (-ffp-contract=off) and calls fma in the same expressions.
// The logarithm, sine and cosine for normal numbers are the functions of the Cephes library (Moshier 1989) in float32.
#include <bit>
#include <cmath>

#include "flambeau/macros.h"
#include "kernels/twister_table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int kWords = 624, kShift = 397;

FLAMBEAU_INLINE uint32_t twisted(uint32_t upper, uint32_t lower) {
  const uint32_t mixed = (upper & 0x80000000u) | (lower & 0x7fffffffu);
  return (mixed >> 1) ^ (-(lower & 1u) & 0x9908b0dfu);
}

void twist(uint32_t* state) {
  for (int i = 0; i < kWords - kShift; ++i) state[i] = state[i + kShift] ^ twisted(state[i], state[i + 1]);
  for (int i = kWords - kShift; i < kWords - 1; ++i)
    state[i] = state[i + kShift - kWords] ^ twisted(state[i], state[i + 1]);
  state[kWords - 1] = state[kShift - 1] ^ twisted(state[kWords - 1], state[0]);
}

void temper(uint32_t* out, const uint32_t* state, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint32_t word = state[i];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    out[i] = word ^ (word >> 18);
  }
}

// Returns the lower 53 bits of two words. The first word is the higher one.
FLAMBEAU_INLINE int64_t bits53(const uint32_t* words) {
  return int64_t(uint64_t(words[0] & 0x1fffffu) << 32 | words[1]);
}
// Returns bits53() as a double. Converts the words separately, since processors convert 32 bits faster than 64.
FLAMBEAU_INLINE double number53(const uint32_t* words) {
  return double(int32_t(words[0] & 0x1fffffu)) * 0x1p32 + (double(int32_t(words[1] ^ 0x80000000u)) + 0x1p31);
}

void uniform(float* out, const uint32_t* words, int64_t n, float low, float high) {
  const float range = high - low;
  for (int64_t i = 0; i < n; ++i) {
    const float value = __builtin_fmaf(float(int32_t(words[i] & 0xffffffu)) * 0x1p-24f, range, low);
    out[i] = value == high ? low : value;
  }
}

void uniform_double(double* out, const uint32_t* words, int64_t n, double low, double high) {
  const double range = high - low;
  for (int64_t i = 0; i < n; ++i) {
    const double value = __builtin_fma(number53(words + 2 * i) * 0x1p-53, range, low);
    out[i] = value == high ? low : value;
  }
}

// Returns the natural logarithm of x in (0, 1].
FLAMBEAU_INLINE float log_of(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const float fraction = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);  // [0.5, 1)
  const bool is_low = fraction < 0.70710678f;
  const float exponent = float(int32_t(bits >> 23) - 127) + 1.0f - (is_low ? 1.0f : 0.0f);
  const float t = fraction - 1.0f + (is_low ? fraction : 0.0f), square = t * t;
  float sum = __builtin_fmaf(7.0376836292e-2f, t, -1.1514610310e-1f);
  sum = __builtin_fmaf(sum, t, 1.1676998740e-1f);
  sum = __builtin_fmaf(sum, t, -1.2420140846e-1f);
  sum = __builtin_fmaf(sum, t, 1.4249322787e-1f);
  sum = __builtin_fmaf(sum, t, -1.6668057665e-1f);
  sum = __builtin_fmaf(sum, t, 2.0000714765e-1f);
  sum = __builtin_fmaf(sum, t, -2.4999993993e-1f);
  sum = __builtin_fmaf(sum, t, 3.3333331174e-1f);
  sum = __builtin_fmaf(sum * t, square, exponent * -2.12194440e-4f);
  sum = __builtin_fmaf(-square, 0.5f, sum);
  return __builtin_fmaf(exponent, 0.693359375f, t + sum);
}

struct Pair {
  float sine, cosine;
};
// Returns the sine and the cosine of an angle in [0, 2 pi].
FLAMBEAU_INLINE Pair sine_and_cosine(float angle) {
  const int32_t octant = (int32_t(angle * 1.27323954473516f) + 1) & ~1;
  const float turns = float(octant);
  float x = __builtin_fmaf(turns, -0.78515625f, angle);
  x = __builtin_fmaf(turns, -2.4187564849853515625e-4f, x);
  x = __builtin_fmaf(turns, -3.77489497744594108e-8f, x);
  const float z = x * x;
  float even = __builtin_fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f);
  even = __builtin_fmaf(even, z, 4.166664568298827e-2f) * z;
  even = __builtin_fmaf(even, z, -(z * 0.5f)) + 1.0f;
  float odd = __builtin_fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f);
  odd = __builtin_fmaf(odd, z, -1.6666654611e-1f) * z;
  odd = __builtin_fmaf(odd, x, x);
  const bool is_odd = (octant & 2) == 0;
  const uint32_t sine = std::bit_cast<uint32_t>(is_odd ? odd : even) ^ uint32_t(octant & 4) << 29,
                 cosine = std::bit_cast<uint32_t>(is_odd ? even : odd) ^ uint32_t(~(octant - 2) & 4) << 29;
  return {std::bit_cast<float>(sine), std::bit_cast<float>(cosine)};
}

// Converts uniform numbers to normal numbers by the method of Box and Muller (1958). Numbers j and j + 8 of a block
// give normal numbers j and j + 8.
void normal(float* values, int64_t blocks, float mean, float std) {
  constexpr int kHalf = 8;
  for (int64_t block = 0; block < blocks; ++block, values += 2 * kHalf)
    for (int j = 0; j < kHalf; ++j) {
      const float radius = std::sqrt(-2.0f * log_of(1.0f - values[j]));
      const auto [sine, cosine] = sine_and_cosine(6.2831855f * values[kHalf + j]);
      values[j] = __builtin_fmaf(radius * cosine, std, mean);
      values[kHalf + j] = __builtin_fmaf(radius * sine, std, mean);
    }
}

void below(uint8_t* out, const uint32_t* words, int64_t n, uint64_t threshold) {
  for (int64_t i = 0; i < n; ++i) out[i] = uint8_t(bits53(words + 2 * i) < int64_t(threshold));
}

template <class T>
void masked(char* out_bytes, const char* in_bytes, const uint8_t* mask, int64_t n, double factor) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  const T kept = T(factor);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = in[i] * (mask[i] ? kept : T(0));
}

}  // namespace

void fill_twister(TwisterTable& table) {
  table = {twist, temper, uniform, uniform_double, normal, below, {masked<float>, masked<double>}};
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
