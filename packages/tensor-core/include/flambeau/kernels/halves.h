// Vectorised conversions between float32 and float16 or bfloat16. They use the conversion instructions of the
// instruction set if it has them.
#pragma once

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "flambeau/dtype.h"
#include "flambeau/kernels/math/bits.h"
#include "flambeau/kernels/simd.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

template <class T>
inline constexpr bool is_half = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

// Number of elements that are converted together. The compiler unrolls shorter loops before it can vectorise them.
inline constexpr int64_t kHalfTile = 32;

// Note [Pairs of bfloat16]
// A bfloat16 is the upper half of a float32. Loops over words that hold two elements widen one element by a shift and
// the other by a mask, and join the rounded results in the same way. Loops over single elements would also have to move
// them between vectors of different widths, which takes about as many instructions as an exponential.
typedef uint32_t BfloatPair __attribute__((may_alias, aligned(alignof(bfloat16))));
inline constexpr int64_t kTilePairs = kHalfTile / 2;

struct BfloatPairs {
  const BfloatPair* words;
  FLAMBEAU_INLINE float low(int64_t i) const { return bit_cast<float>(words[i] << 16); }
  FLAMBEAU_INLINE float high(int64_t i) const { return bit_cast<float>(words[i] & 0xFFFF0000u); }
};
struct NumberPairs {  // a number as an operand: the same for all elements
  float number;
  FLAMBEAU_INLINE float low(int64_t) const { return number; }
  FLAMBEAU_INLINE float high(int64_t) const { return number; }
};
FLAMBEAU_INLINE BfloatPairs pairs_of(const bfloat16* x) { return {reinterpret_cast<const BfloatPair*>(x)}; }
FLAMBEAU_INLINE NumberPairs pairs_of(const float* number) { return {*number == *number ? *number : NAN}; }

// Round like to_bfloat16, with the result in the upper half of the word. rounded_number() supports NaN only if its
// lower half is 0: otherwise the carry can change the sign and clear the exponent. A NaN that a processor generates or
// takes from a bfloat16 has such a lower half.
FLAMBEAU_INLINE uint32_t rounded_number(float v) {
  const uint32_t bits = bit_cast<uint32_t>(v);
  return bits + 0x7FFF + ((bits >> 16) & 1);
}
FLAMBEAU_INLINE uint32_t rounded(float v) { return v != v ? 0x7FC00000u : rounded_number(v); }

FLAMBEAU_INLINE uint32_t join_halves(uint32_t low, uint32_t high) { return (low >> 16) | (high & 0xFFFF0000u); }
FLAMBEAU_INLINE uint32_t pair_of(float low, float high) { return join_halves(rounded(low), rounded(high)); }
FLAMBEAU_INLINE uint32_t pair_of_numbers(float low, float high) {  // see rounded_number()
  return join_halves(rounded_number(low), rounded_number(high));
}

// Convert from[j] to to[j] for j < kHalfTile. The loops are unrolled completely, so that values stay in registers
// between two conversions.
FLAMBEAU_INLINE void widen(float* to, const float* from) {  // with vectors: a plain loop becomes a call of memcpy
  for (int64_t j = 0; j < kHalfTile; j += Simd<float>::kLanes) Simd<float>::store(to + j, Simd<float>::load(from + j));
}
FLAMBEAU_INLINE void widen(float* to, const bfloat16* from) {
  for (int64_t j = 0; j < kHalfTile; ++j) to[j] = to_float(from[j]);
}
FLAMBEAU_INLINE void widen(float* to, const float16* from) {
#if defined(__AVX512F__)
  for (int64_t j = 0; j < kHalfTile; j += 16)
    _mm512_storeu_ps(to + j,
                     _mm512_maskz_cvtph_ps(0xFFFF, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + j))));
#elif defined(__F16C__)
  for (int64_t j = 0; j < kHalfTile; j += 8)
    _mm256_storeu_ps(to + j, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + j))));
#else
  for (int64_t j = 0; j < kHalfTile; ++j) to[j] = to_float(from[j]);
#endif
}
FLAMBEAU_INLINE void narrow(float16* to, const float* from) {
#if defined(__AVX512F__)
  for (int64_t j = 0; j < kHalfTile; j += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + j),
                        _mm512_maskz_cvtps_ph(0xFFFF, _mm512_loadu_ps(from + j), 0));
#elif defined(__F16C__)
  for (int64_t j = 0; j < kHalfTile; j += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + j), _mm256_cvtps_ph(_mm256_loadu_ps(from + j), 0));
#else
  for (int64_t j = 0; j < kHalfTile; ++j) to[j] = to_float16(from[j]);
#endif
}

// Processes n elements by tiles(pointers, number of tiles). pointers[0] is the output, followed by `count` operands;
// `sizes` contains the sizes of their elements. The remainder is copied to and from a separate tile.
inline void run_tiles(void (*tiles)(char* const*, int64_t), char* const* pointers, int64_t n, const int64_t* sizes,
                      int count) {
  const int64_t whole = n / kHalfTile, rest = n % kHalfTile;
  if (whole) tiles(pointers, whole);
  if (!rest) return;
  constexpr int kMax = 6;
  alignas(64) char room[kMax][kHalfTile * sizeof(int64_t)] = {};
  char* at[kMax] = {room[0], room[1], room[2], room[3], room[4], room[5]};
  for (int k = 1; k <= count; ++k)
    std::memcpy(room[k], pointers[k] + whole * kHalfTile * sizes[k], size_t(rest * sizes[k]));
  tiles(at, 1);
  std::memcpy(pointers[0] + whole * kHalfTile * sizes[0], room[0], size_t(rest * sizes[0]));
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
