// Philox 4x32-10 and distributions computed from its words. Salmon et al. 2011, "Parallel random numbers: as easy as 1,
// 2, 3".
#include "flambeau/kernels/math.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int kLanes = 16;

// Computes the words of sixteen counters at once. Word w of counter l is out[w * 16 + l].
void group(uint32_t* out, uint64_t seed, uint64_t index) {
  uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const uint64_t counter = index * kLanes + l;
    c0[l] = uint32_t(counter);
    c1[l] = uint32_t(counter >> 32);
    c2[l] = c3[l] = 0;
  }
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int l = 0; l < kLanes; ++l) {
      const uint64_t p0 = uint64_t(0xD2511F53u) * c0[l], p1 = uint64_t(0xCD9E8D57u) * c2[l];
      const uint32_t n0 = uint32_t(p1 >> 32) ^ c1[l] ^ k0, n2 = uint32_t(p0 >> 32) ^ c3[l] ^ k1;
      c1[l] = uint32_t(p1);
      c3[l] = uint32_t(p0);
      c0[l] = n0;
      c2[l] = n2;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int l = 0; l < kLanes; ++l) {
    out[l] = c0[l];
    out[kLanes + l] = c1[l];
    out[2 * kLanes + l] = c2[l];
    out[3 * kLanes + l] = c3[l];
  }
}

void random_bits(uint32_t* out, int64_t groups, uint64_t seed, uint64_t first_group) {
  for (int64_t g = 0; g < groups; ++g) group(out + g * kGroup, seed, first_group + uint64_t(g));
}

// Computes normal numbers by the method of Box and Muller (1958). Words j and j + 32 of a group give normal numbers j
// and j + 32.
void normal(float* out, int64_t groups, const uint32_t* bits) {
  constexpr int kHalf = kGroup / 2;
  for (int64_t g = 0; g < groups; ++g, out += kGroup, bits += kGroup)
    for (int j = 0; j < kHalf; ++j) {
      const float u = (float(int32_t(bits[j] >> 8)) + 1.0f) * 5.9604644775390625e-8f;     // (0, 1]
      const float angle = float(int32_t(bits[kHalf + j] >> 8)) * 3.7450702829239286e-7f;  // [0, 2 pi)
      const float radius = std::sqrt(-2.0f * log(u));
      out[j] = radius * cos(angle);
      out[kHalf + j] = radius * sin(angle);
    }
}

template <class T>
void dropout(char* out_bytes, const char* in_bytes, int64_t n, uint32_t threshold, double scale, const uint32_t* bits) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  const T factor = T(scale);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) out[i] = bits[i] < threshold ? T(0) : in[i] * factor;
}

}  // namespace

void fill_random(Table& table) {
  table.random_bits = random_bits;
  table.normal = normal;
  table.dropout[0] = dropout<float>;
  table.dropout[1] = dropout<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
