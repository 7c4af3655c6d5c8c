// Random numbers. Elements are computed from the same Philox words as on the CPU; operators/creation/random.cpp
// describes the distributions. A module invokes FLAMBEAU_DRAW(distribution, T).
//
// Word w of a group of 64 words is output w / 16 of counter w % 16. Each thread evaluates adjacent counters of a group,
// so that it has all words of its elements, and adjacent threads write adjacent elements.
#pragma once

#include "device/elementwise/halves.h"
#include "device/random/random_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/math.h"

namespace flambeau::cuda {

namespace math = kernels::FLAMBEAU_ISA;

inline void philox(uint64_t seed, uint64_t counter, uint32_t (&out)[4]) {
  uint32_t c0 = uint32_t(counter), c1 = uint32_t(counter >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
    c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c1 = uint32_t(p1);
    c3 = uint32_t(p0);
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// The CPU's distributions are compiled without fused multiply-add. Therefore these functions round the product and the
// sum separately.
inline float plus_product(float a, float b, float c) { return __fadd_rn(a, __fmul_rn(b, c)); }
inline double plus_product(double a, double b, double c) { return __dadd_rn(a, __dmul_rn(b, c)); }

inline uint64_t uint64_of(const uint32_t* words) { return uint64_t(words[0]) << 32 | words[1]; }
inline double unit(const uint32_t* words) { return double(uint64_of(words) >> 11) * 0x1p-53; }

// The type in which random numbers for elements of type T are computed.
template <class T>
using Computed =
    std::conditional_t<std::is_same_v<T, double> || (std::is_integral_v<T> && sizeof(T) >= 4), double, float>;

template <class V>
V open_unit(const uint32_t* words) {
  if constexpr (std::is_same_v<V, double>)
    return (double(uint64_of(words) >> 12) + 0.5) * 0x1p-52;
  else
    return (float(words[0]) + 0.5f) * 0x1p-32f;
}

// A distribution whose elements are computed independently of each other. Each element needs `words` words.
template <class Own, int words, class T>
struct OneByOne {
  static constexpr int kWords = words, kCounters = words;
  static void make(const DrawArguments& a, const uint32_t (&w)[4][words], int64_t first, T (&out)[4][1]) {
    for (int s = 0; s < 4; ++s)
      if (const int64_t at = first + s * (16 / words); at < a.count) out[s][0] = Own::one(a, w[s], at);
  }
};

template <class T>
struct Uniform : OneByOne<Uniform<T>, sizeof(T) == 8 ? 2 : 1, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t) {
    if constexpr (std::is_same_v<T, double>) {
      const double v = plus_product(a.numbers[0], unit(w), a.numbers[1]);
      return v < a.numbers[2] ? v : a.numbers[0];
    } else {
      const float base = float(a.numbers[0]);
      const T v = convert<T>(plus_product(base, float(int32_t(w[0] >> a.integers[0])), float(a.numbers[1])));
      return convert<float>(v) < float(a.numbers[2]) ? v : convert<T>(base);
    }
  }
};

// Computes normal numbers by the method of Box and Muller (1958). Uses the same pairs of words as the CPU: words that
// are 32 apart in single precision, and adjacent words in double precision.
template <class T, bool of_logarithm>
struct Gaussian {
  using V = Computed<T>;
  static constexpr bool kDouble = std::is_same_v<V, double>;
  static constexpr int kWords = kDouble ? 2 : 1, kCounters = kDouble ? 4 : 1, kMade = kCounters / kWords;

  static T finish(const DrawArguments& a, V normal) {
    if constexpr (of_logarithm)
      return convert<T>(V(math::exp(plus_product(V(a.numbers[0]), V(a.numbers[1]), normal))));
    else
      return convert<T>(
          a.numbers[0] == 0 && a.numbers[1] == 1 ? normal : plus_product(V(a.numbers[0]), V(a.numbers[1]), normal));
  }
  static void make(const DrawArguments& a, const uint32_t (&w)[4][kCounters], int64_t, T (&out)[4][kMade]) {
    if constexpr (kDouble) {
      for (int s = 0; s < 4; ++s) {
        const double radius = sqrt(-2 * math::log(1 - unit(w[s]))), angle = 6.283185307179586 * unit(w[s] + 2);
        out[s][0] = finish(a, radius * math::cos(angle));
        out[s][1] = finish(a, radius * math::sin(angle));
      }
    } else {
      for (int s = 0; s < 2; ++s) {
        const float u = (float(int32_t(w[s][0] >> 8)) + 1.0f) * 5.9604644775390625e-8f;
        const float angle = float(int32_t(w[s + 2][0] >> 8)) * 3.7450702829239286e-7f;
        const float radius = sqrtf(-2.0f * math::log(u));
        out[s][0] = finish(a, radius * math::cos(angle));
        out[s + 2][0] = finish(a, radius * math::sin(angle));
      }
    }
  }
};
template <class T>
struct Normal : Gaussian<T, false> {};
template <class T>
struct LogNormal : Gaussian<T, true> {};

template <class T, class V = Computed<T>>
struct Exponential : OneByOne<Exponential<T>, sizeof(V) / 4, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t) {
    constexpr V smallest = std::numeric_limits<V>::epsilon() / 4;  // for uniform numbers that are rounded to 1
    const V v = math::log(open_unit<V>(w));
    return convert<T>(V((v < -smallest ? -v : smallest) * V(a.numbers[0])));
  }
};

template <class T, class V = Computed<T>>
struct Cauchy : OneByOne<Cauchy<T>, sizeof(V) / 4, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t) {
    V angle;
    if constexpr (std::is_same_v<V, float>)
      angle = float(int32_t(w[0])) * float(3.141592653589793 * 0x1p-32);
    else
      angle = double(int64_t(uint64_of(w))) * (3.141592653589793 * 0x1p-64);
    return convert<T>(plus_product(V(a.numbers[0]), V(a.numbers[1]), V(math::tan(angle))));
  }
};

template <class T, class V = Computed<T>>
struct Geometric : OneByOne<Geometric<T>, sizeof(V) / 4, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t) {
    const V v = V(ceil(V(math::log(open_unit<V>(w)) * V(a.numbers[0]))));
    return convert<T>(v < V(1) ? V(1) : v);
  }
};

template <class T>
struct Bernoulli : OneByOne<Bernoulli<T>, 2, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t) {
    return convert<T>((uint64_of(w) >> 11) < a.integers[0] ? 1.0f : 0.0f);
  }
};
template <class T>
struct BernoulliOf : OneByOne<BernoulliOf<T>, 2, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t at) {
    const double p = static_cast<const double*>(a.in)[at];
    if (!(p >= 0 && p <= 1)) report(a.reporter, Fault::Probability, 0, 0, p);
    return convert<T>(unit(w) < p ? 1.0f : 0.0f);
  }
};

template <class T>
struct Integers : OneByOne<Integers<T>, 2, T> {
  static T one(const DrawArguments& a, const uint32_t* w, int64_t) {
    return convert<T>(int64_t(a.integers[0] + __umul64hi(uint64_of(w), a.integers[1])));
  }
};

// Draws an integer in [0, i] for element i.
template <class T>
struct Upto : OneByOne<Upto<T>, 2, T> {
  static T one(const DrawArguments&, const uint32_t* w, int64_t at) {
    return T(__umul64hi(uint64_of(w), uint64_t(at) + 1));
  }
};

template <class T>
struct Dropout : OneByOne<Dropout<T>, 1, T> {
  using V = std::conditional_t<std::is_same_v<T, double>, double, float>;
  static T one(const DrawArguments& a, const uint32_t* w, int64_t at) {
    const V kept = convert<V>(static_cast<const T*>(a.in)[at]) * V(a.numbers[0]);
    return convert<T>(w[0] < a.integers[0] ? V(0) : kept);
  }
};

template <class D, class T>
void draw(const DrawArguments& a) {
  constexpr int kPart = 16 / D::kCounters,
                kMade = D::kCounters / D::kWords;  // kPart: threads per group; kMade: adjacent elements per thread
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, group = thread / kPart;
  const int part = int(thread % kPart);
  const int64_t first = (group * 64 + part * D::kCounters) / D::kWords;
  if (first >= a.count) return;
  const Position from = resolved(a.position);
  uint32_t words[4][D::kCounters];
  for (int c = 0; c < D::kCounters; ++c) {
    uint32_t own[4];
    philox(from.seed, (from.offset + uint64_t(group)) * 16 + uint64_t(part * D::kCounters + c), own);
    for (int s = 0; s < 4; ++s) words[s][c] = own[s];
  }
  T made[4][kMade];
  D::make(a, words, first, made);
  for (int s = 0; s < 4; ++s)
    for (int m = 0; m < kMade; ++m)
      if (const int64_t at = first + s * (16 / D::kWords) + m; at < a.count) static_cast<T*>(a.out)[at] = made[s][m];
}

}  // namespace flambeau::cuda

#define FLAMBEAU_DRAW(distribution, T) \
  FLAMBEAU_KERNEL(draw, flambeau::cuda::DrawArguments) { flambeau::cuda::draw<flambeau::cuda::distribution<T>, T>(a); }
