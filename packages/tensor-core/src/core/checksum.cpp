// CRC-32. Long inputs are folded by carry-less products if the processor has instructions for them (Gopal et al. 2009,
// Fast CRC Computation for Generic Polynomials Using PCLMULQDQ), at about the speed of reading memory.
#include "flambeau/checksum.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace flambeau {

namespace {

constexpr uint32_t kPolynomial = 0xEDB88320;  // bit i is the coefficient of x^(31 - i)
using Table = std::array<uint32_t, 256>;

constexpr uint32_t shifted(uint32_t crc) { return crc >> 1 ^ (crc & 1 ? kPolynomial : 0); }

// tables[k][b] is the remainder of byte b followed by k zero bytes.
constexpr std::array<Table, 8> make_tables() {
  std::array<Table, 8> tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = shifted(crc);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t b = 0; b < 256; ++b) tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xFF];
  return tables;
}
constexpr std::array<Table, 8> kTables = make_tables();

// Continues the remainder `crc` over the bytes. Unlike the published checksum, `crc` is not inverted before or after.
uint32_t by_tables(const unsigned char* bytes, size_t count, uint32_t crc) {
  for (; count >= 8; bytes += 8, count -= 8) {
    uint32_t mixed = crc;
    for (int i = 0; i < 4; ++i) mixed ^= uint32_t(bytes[i]) << (8 * i);
    crc = 0;
    for (int i = 0; i < 4; ++i) crc ^= kTables[size_t(7 - i)][mixed >> (8 * i) & 0xFF];
    for (int i = 4; i < 8; ++i) crc ^= kTables[size_t(7 - i)][bytes[i]];
  }
  for (; count; ++bytes, --count) crc = crc >> 8 ^ kTables[0][(crc ^ *bytes) & 0xFF];
  return crc;
}

#if defined(__x86_64__)

// Returns x^n modulo the polynomial, as a factor for carry-less products of numbers with reversed bits.
constexpr uint64_t power(int n) {
  uint32_t crc = 0x80000000;
  for (int i = 0; i < n; ++i) crc = shifted(crc);
  return uint64_t(crc) << 1;
}

// Factors that advance a state by a number of bits.
struct Factors {
  uint64_t low, high;
};
template <int bits>
constexpr Factors kFactors = {power(bits + 32), power(bits - 32)};

#define FLAMBEAU_FOLDS __attribute__((target("pclmul,sse4.1")))
#define FLAMBEAU_FOLDS_WIDELY __attribute__((target("vpclmulqdq,avx512f")))

FLAMBEAU_FOLDS inline __m128i load(const unsigned char* bytes) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}
FLAMBEAU_FOLDS inline __m128i load(Factors f) { return _mm_set_epi64x(int64_t(f.high), int64_t(f.low)); }

// Advances `state` by the number of bits that the factors represent and adds `next`, the data at that position.
FLAMBEAU_FOLDS inline __m128i fold(__m128i state, __m128i factors, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(state, factors, 0x00), high = _mm_clmulepi64_si128(state, factors, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// Folds four independent states of 16 bytes, which hides the latency of the products. `count` is at least 64.
FLAMBEAU_FOLDS uint32_t by_folding(const unsigned char* bytes, size_t count, uint32_t crc) {
  __m128i states[4];
  for (int i = 0; i < 4; ++i) states[i] = load(bytes + 16 * i);
  states[0] = _mm_xor_si128(states[0], _mm_cvtsi32_si128(int(crc)));
  const __m128i far = load(kFactors<512>), near = load(kFactors<128>);
  for (bytes += 64, count -= 64; count >= 64; bytes += 64, count -= 64)
    for (int i = 0; i < 4; ++i) states[i] = fold(states[i], far, load(bytes + 16 * i));
  for (int i = 1; i < 4; ++i) states[i] = fold(states[i - 1], near, states[i]);
  unsigned char folded[16];  // 16 bytes with the same remainder as all preceding bytes
  _mm_storeu_si128(reinterpret_cast<__m128i*>(folded), states[3]);
  return by_tables(bytes, count, by_tables(folded, sizeof(folded), 0));
}

// Like by_folding(), with four states of 64 bytes. `count` is at least 256.
FLAMBEAU_FOLDS_WIDELY uint32_t by_wide_folding(const unsigned char* bytes, size_t count, uint32_t crc) {
  __m512i states[4];
  for (int i = 0; i < 4; ++i) states[i] = _mm512_loadu_si512(bytes + 64 * i);
  states[0] = _mm512_xor_si512(states[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(int(crc))));
  constexpr auto low_factor = int64_t(kFactors<2048>.low), high_factor = int64_t(kFactors<2048>.high);
  const __m512i far = _mm512_set4_epi64(high_factor, low_factor, high_factor, low_factor);
  for (bytes += 256, count -= 256; count >= 256; bytes += 256, count -= 256)
    for (int i = 0; i < 4; ++i) {
      const __m512i low = _mm512_clmulepi64_epi128(states[i], far, 0x00);
      const __m512i high = _mm512_clmulepi64_epi128(states[i], far, 0x11);
      states[i] = _mm512_ternarylogic_epi64(low, high, _mm512_loadu_si512(bytes + 64 * i), 0x96);  // exclusive or
    }
  unsigned char folded[256];
  for (int i = 0; i < 4; ++i) _mm512_storeu_si512(folded + 64 * i, states[i]);
  return by_tables(bytes, count, by_folding(folded, sizeof(folded), 0));
}

#endif

}  // namespace

uint32_t crc32(const void* data, size_t count, uint32_t crc) {
  const auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
  static const bool folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  static const bool folds_widely = folds && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f");
  if (folds_widely && count >= 1024) return ~by_wide_folding(bytes, count, ~crc);
  if (folds && count >= 64) return ~by_folding(bytes, count, ~crc);
#endif
  return ~by_tables(bytes, count, ~crc);
}

}  // namespace flambeau
