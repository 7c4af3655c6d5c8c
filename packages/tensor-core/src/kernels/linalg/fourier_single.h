// Fourier transforms of contiguous elements, one at a time.
//
// Note [Single transforms]
// A transform of length n1 * n2 consists of n2 transforms of length n1, a multiplication by roots of unity, and n1
// transforms of length n2 (Bailey 1990, FFTs in external or hierarchical memory). The lanes of a vector compute
// neighbouring transforms of each step. All buffers of one transform fit in the first-level cache. If the lanes
// computed different transforms instead, the buffers would be longer by the number of lanes.
#pragma once

#include <cstring>

#include "kernels/linalg/fourier_passes.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace fourier_passes {

// Computes the transforms of a job for which `columns`, `rows` and `twists` are set.
template <class T>
class SingleTransform {
 public:
  using E = typename Lanes<T>::Element;
  using Vector = typename Lanes<T>::Vector;
  static constexpr int64_t kLanes = Lanes<T>::kLanes;

  SingleTransform(const FourierJob& job, void* scratch)
      : job_(job), n1_(job.columns.length), n2_(job.rows.length), groups1_(blocks(n1_)), groups2_(blocks(n2_)) {
    const int64_t longest = (n1_ > n2_ ? groups1_ : groups2_) * kLanes;
    a_ = static_cast<E*>(scratch);
    b_ = a_ + longest;
    middle_ = b_ + longest;
    real_ = reinterpret_cast<T*>(middle_ + groups1_ * groups2_ * kLanes) + kLanes;
    imaginary_ = real_ + n1_ * n2_ + 3 * kLanes;
  }

  void run(int64_t transform) {
    const int64_t in_width = job_.kind == FourierKind::RealToHalf ? 1 : 2;
    const int64_t out_width = job_.kind == FourierKind::HalfToReal ? 1 : 2;
    const T* in = reinterpret_cast<T*>(job_.in.data) + transform * job_.in.outer * in_width;
    T* out = reinterpret_cast<T*>(job_.out.data) + transform * job_.out.outer * out_width;
    const T sign = job_.inverse ? -1 : 1, scale = T(job_.scale);
    if (job_.kind == FourierKind::HalfToReal) {
      keep_spectrum(in, -sign);
      columns([&](int64_t at, int64_t count) { return joined(at, count); });
    } else {
      const T in_sign = job_.kind == FourierKind::Complex ? sign : 1;
      columns([&](int64_t at, int64_t count) { return conjugated(load(in + 2 * at, count), in_sign); });
    }
    if (job_.kind == FourierKind::RealToHalf) {
      rows([&](int64_t at, int64_t, const E& x) { keep(at, x); });
      separate(out, scale, sign);
    } else {
      const T out_sign = job_.kind == FourierKind::Complex ? sign : -1;
      rows([&](int64_t at, int64_t count, const E& x) {
        store(out + 2 * at, count, conjugated(scaled(x, scale), out_sign));
      });
    }
  }

 private:
  static int64_t blocks(int64_t n) { return (n + kLanes - 1) / kLanes; }
  static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
  static E conjugated(const E& x, T sign) { return {x.real, x.imaginary * sign}; }

  // Loads complex numbers whose parts are interleaved.
  static E load(const T* from, int64_t count) {
    T whole[2 * kLanes];
    if (count < kLanes) {
      std::memset(whole, 0, sizeof whole);
      std::memcpy(whole, from, size_t(2 * count) * sizeof(T));
      from = whole;
    }
    const Vector low = Simd<T>::load(from), high = Simd<T>::load(from + kLanes);
    return {every_second<0>(low, high), every_second<1>(low, high)};
  }
  static void store(T* to, int64_t count, const E& x) {
    const Vector low = in_turn<0>(x.real, x.imaginary), high = in_turn<kLanes / 2>(x.real, x.imaginary);
    if (count >= kLanes) {
      Simd<T>::store(to, low);
      Simd<T>::store(to + kLanes, high);
    } else {
      T whole[2 * kLanes];
      Simd<T>::store(whole, low);
      Simd<T>::store(whole + kLanes, high);
      std::memcpy(to, whole, size_t(2 * count) * sizeof(T));
    }
  }
  E kept(int64_t at) const { return {Simd<T>::load(real_ + at), Simd<T>::load(imaginary_ + at)}; }
  void keep(int64_t at, const E& x) {
    Simd<T>::store(real_ + at, x.real);
    Simd<T>::store(imaginary_ + at, x.imaginary);
  }
  static Vector reversed(Vector v) {
    return [&]<int... l>(std::integer_sequence<int, l...>) __attribute__((always_inline)) {
      return shuffled<(kLanes - 1 - l)...>(v, v);
    }(std::make_integer_sequence<int, kLanes>{});
  }
  // Returns the conjugates of the elements at, at - 1, ...
  E mirrored(int64_t at) const {
    const E x = kept(at - kLanes + 1);
    return {reversed(x.real), -reversed(x.imaginary)};
  }

  // Computes the transforms of length n1 and stores their products with roots of unity, transposed, in middle_.
  template <class Load>
  FLAMBEAU_INLINE void columns(Load load) {
    const E* twists = static_cast<const E*>(job_.twists);
    const int64_t n1 = n1_, n2 = n2_;
    E* const a = a_;
    for (int64_t g2 = 0; g2 < groups2_; ++g2, twists += n1) {
      const int64_t first = g2 * kLanes, count = smaller(kLanes, n2 - first);
      if (count == kLanes)
        for (int64_t j = 0; j < n1; ++j) a[j] = load(j * n2 + first, kLanes);
      else
        for (int64_t j = 0; j < n1; ++j) a[j] = load(j * n2 + first, count);
      E* y = transform<T>(job_.columns, a, b_);
      for (int64_t k = 0; k < n1; ++k) y[k] = times(y[k], twists[k].real, twists[k].imaginary);
      for (int64_t k = n1; k < groups1_ * kLanes; ++k) y[k] = E{};
      for (int64_t g1 = 0; g1 < groups1_; ++g1) {
        const T* from = y[g1 * kLanes].reals();
        T* to = middle_[(g1 * groups2_ + g2) * kLanes].reals();
        transpose(to, 2 * kLanes, from, 2 * kLanes, kLanes, kLanes);
        transpose(to + kLanes, 2 * kLanes, from + kLanes, 2 * kLanes, kLanes, kLanes);
      }
    }
  }
  // Computes the transforms of length n2. The groups are processed in descending order: a store of a whole vector
  // beyond the end of a row of n1 elements is overwritten by the first group of the next row.
  template <class Store>
  FLAMBEAU_INLINE void rows(Store store) {
    for (int64_t g1 = groups1_; g1-- > 0;) {
      const E* y = transform<T>(job_.rows, middle_ + g1 * groups2_ * kLanes, a_);
      const int64_t n1 = n1_, n2 = n2_, first = g1 * kLanes, count = smaller(kLanes, n1 - first);
      if (count == kLanes)
        for (int64_t k = 0; k < n2; ++k) store(k * n1 + first, kLanes, y[k]);
      else
        for (int64_t k = 0; k < n2; ++k) store(k * n1 + first, count, y[k]);
    }
  }

  // Computes the spectrum of a real signal from the spectrum of the complex numbers that pairs of its elements form.
  void separate(T* out, T scale, T sign) {
    const T* roots = static_cast<const T*>(job_.roots);
    const int64_t half = n1_ * n2_;
    real_[half] = real_[0];
    imaginary_[half] = imaginary_[0];
    for (int64_t k = 0; k <= half; k += kLanes) {
      const int64_t count = smaller(kLanes, half + 1 - k);
      const E u = kept(k), v = mirrored(half - k), root = load(roots + 2 * k, count);
      const E x = u + v + times(times_minus_i(u - v), root.real, root.imaginary);
      store(out + 2 * k, count, {x.real * (scale / 2), x.imaginary * (sign * scale / 2)});
    }
  }
  // Keeps the half spectrum of a real signal, conjugated if the sign is -1.
  void keep_spectrum(const T* in, T sign) {
    const int64_t half = n1_ * n2_;
    for (int64_t k = 0; k <= half; k += kLanes)
      keep(k, conjugated(load(in + 2 * k, smaller(kLanes, half + 1 - k)), sign));
    imaginary_[0] = imaginary_[half] = 0;
  }
  // The inverse of separate(). The results are conjugated, because an inverse transform follows.
  E joined(int64_t k, int64_t count) const {
    const E u = kept(k), v = mirrored(n1_ * n2_ - k), root = load(static_cast<const T*>(job_.roots) + 2 * k, count);
    const E odd = times(u - v, root.real, -root.imaginary), even = u + v;
    return {even.real - odd.imaginary, -(even.imaginary + odd.real)};
  }

  const FourierJob& job_;
  int64_t n1_, n2_, groups1_, groups2_;
  E *a_, *b_, *middle_;
  T *real_, *imaginary_;
};

}  // namespace fourier_passes

}  // namespace flambeau::kernels::FLAMBEAU_ISA
