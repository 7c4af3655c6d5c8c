// Fourier transforms of lengths with small prime factors, one transform in each lane of a vector: from memory to lanes,
// through the passes, and back.
#include "kernels/linalg/fourier_passes.h"
#include "kernels/linalg/fourier_single.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

using namespace fourier_passes;

// Input or output of a group of transforms. Element j of the group is a row of numbers in the buffer, one for each
// lane. `width` is 1 for real signals and 2 for complex ones, whose real and imaginary parts are interleaved.
template <class T, int width>
class Side {
 public:
  static constexpr int64_t kLanes = Lanes<T>::kLanes;
  Side(const FourierSide& side, int64_t first, int64_t count)
      : data_(reinterpret_cast<T*>(side.data)), step_(side.step), count_(count) {
    for (int64_t l = 0; l < count; ++l) {
      at_[l] = (first + l) / side.inner * side.outer + (first + l) % side.inner;
      neighbours_ &= at_[l] == at_[0] + l;
      even_ &= at_[l] == at_[0] + l * (at_[count > 1] - at_[0]);
    }
  }
  void load(T* buffer, int64_t length) const {
    if (neighbours_)
      by_element(length, buffer, [](T* memory, T* number) { *number = *memory; });
    else if (step_ == 1 && even_)
      transpose(buffer, kLanes, data_ + width * at_[0], row(), count_, width * length);
    else
      by_lane(length, buffer, [](T* memory, T* number) { *number = *memory; });
  }
  void store(T* buffer, int64_t length) const {
    if (neighbours_)
      by_element(length, buffer, [](T* memory, T* number) { *memory = *number; });
    else if (step_ == 1 && even_)
      transpose(data_ + width * at_[0], row(), buffer, kLanes, width * length, count_);
    else
      by_lane(length, buffer, [](T* memory, T* number) { *memory = *number; });
  }

 private:
  int64_t row() const { return count_ > 1 ? width * (at_[1] - at_[0]) : 0; }
  template <class Move>
  FLAMBEAU_INLINE void by_element(int64_t length, T* buffer, Move move) const {
    for (int64_t j = 0; j < length; ++j) {
      T* memory = data_ + width * (at_[0] + j * step_);
      T* numbers = buffer + j * width * kLanes;
#pragma GCC ivdep
      for (int64_t l = 0; l < count_; ++l)
        for (int part = 0; part < width; ++part) move(memory + width * l + part, numbers + part * kLanes + l);
    }
  }
  template <class Move>
  FLAMBEAU_INLINE void by_lane(int64_t length, T* buffer, Move move) const {
    constexpr int64_t kBlock = 32;  // number of elements that fit in the first-level cache for all lanes
    for (int64_t begin = 0; begin < length; begin += kBlock) {
      const int64_t end = begin + kBlock < length ? begin + kBlock : length;
      for (int64_t l = 0; l < count_; ++l)
        for (int64_t j = begin; j < end; ++j)
          for (int part = 0; part < width; ++part)
            move(data_ + width * (at_[l] + j * step_) + part, buffer + (j * width + part) * kLanes + l);
    }
  }

  T* data_;
  int64_t step_, count_;
  int64_t at_[64];
  bool neighbours_ = true, even_ = true;
};

// Computes a group of transforms: reads memory, runs the passes between the two buffers, and writes memory. Inverse
// transforms are the conjugates of forward transforms of conjugates.
template <class T>
struct Group {
  using E = typename Lanes<T>::Element;
  const FourierJob& job;
  int64_t first, count;
  E *a, *b;

  int64_t half() const { return job.length / 2; }
  bool even() const { return job.length % 2 == 0; }
  Side<T, 1> real(const FourierSide& side) const { return {side, first, count}; }
  Side<T, 2> complex(const FourierSide& side) const { return {side, first, count}; }
  static T* numbers(E* buffer) { return reinterpret_cast<T*>(buffer); }

  void run() {
    switch (job.kind) {
      case FourierKind::Complex:
        return complex_to_complex();
      case FourierKind::RealToHalf:
        return real_to_half();
      case FourierKind::HalfToReal:
        return half_to_real();
    }
  }

  static void scale(E* x, int64_t length, T factor, bool conjugated) {
    const T other = conjugated ? -factor : factor;
    if (factor == 1 && !conjugated) return;
    for (int64_t j = 0; j < length; ++j) x[j] = {x[j].real * factor, x[j].imaginary * other};
  }

  void complex_to_complex() {
    const int64_t n = job.plan.length;
    complex(job.in).load(numbers(a), n);
    scale(a, n, 1, job.inverse);
    E* y = transform<T>(job.plan, a, b);
    if (job.twist) twist(y);
    scale(y, n, T(job.scale), job.inverse);
    complex(job.out).store(numbers(y), n);
  }

  void twist(E* y) const {
    const T *fine = static_cast<const T*>(job.fine), *coarse = static_cast<const T*>(job.coarse);
    const int64_t mask = (int64_t(1) << job.fine_bits) - 1;
    for (int64_t k = 1; k < job.plan.length; ++k) {
      T real[Lanes<T>::kLanes], imaginary[Lanes<T>::kLanes];
      for (int64_t l = 0; l < Lanes<T>::kLanes; ++l) {
        const int64_t at = l < count ? k * (first + l) : 0;
        const T *f = fine + 2 * (at & mask), *c = coarse + 2 * (at >> job.fine_bits);
        real[l] = f[0] * c[0] - f[1] * c[1];
        imaginary[l] = f[0] * c[1] + f[1] * c[0];
      }
      y[k] = times(y[k], Simd<T>::load(real), Simd<T>::load(imaginary));
    }
  }

  // For an even length, pairs of adjacent elements form complex numbers, which are transformed with half the length.
  // Then the spectra of the even and of the odd elements are separated by their symmetry. For an odd length, the
  // elements are transformed as complex numbers with imaginary parts of 0.
  void real_to_half() {
    E* z = even() ? a : b;
    real(job.in).load(numbers(z), job.length);
    if (!even()) spread(z, a);
    E* y = transform<T>(job.plan, a, b);
    if (even()) y = separated(y, y == a ? b : a);
    scale(y, half() + 1, T(job.scale), job.inverse);
    complex(job.out).store(numbers(y), half() + 1);
  }

  // Converts rows of real numbers to rows of complex numbers.
  void spread(const E* from, E* to) const {
    const T* row = reinterpret_cast<const T*>(from);
    for (int64_t j = 0; j < job.length; ++j)
      to[j] = {Simd<T>::load(row + j * Lanes<T>::kLanes), typename Lanes<T>::Vector{}};
  }

  E* separated(const E* z, E* y) const {
    const T* roots = static_cast<const T*>(job.roots);
    const int64_t h = half();
    for (int64_t k = 0; k <= h; ++k) {
      const E u = z[k == h ? 0 : k], v = z[k == 0 ? 0 : h - k], mirrored = {v.real, -v.imaginary};
      y[k] = scaled(u + mirrored + times(times_minus_i(u - mirrored), roots[2 * k], roots[2 * k + 1]), T(0.5));
    }
    return y;
  }

  void half_to_real() {
    const int64_t h = half();
    E *x = even() ? b : a, *other = even() ? a : b;
    complex(job.in).load(numbers(x), h + 1);
    scale(x, h + 1, 1, !job.inverse);
    x[0].imaginary = typename Lanes<T>::Vector{};
    if (even())
      joined(x, other);
    else
      for (int64_t k = 1; k <= h; ++k) {
        x[job.length - k] = x[k];
        x[k].imaginary = -x[k].imaginary;
      }
    E* y = even() ? transform<T>(job.plan, a, b) : transform<T>(job.plan, x, other);
    scale(y, job.plan.length, T(job.scale), even());
    if (!even()) gather(y);
    real(job.out).store(numbers(y), job.length);
  }

  // Stores the real parts of the complex numbers as rows of real numbers.
  void gather(E* y) const {
    T* row = numbers(y);
    for (int64_t j = 0; j < job.length; ++j) Simd<T>::store(row + j * Lanes<T>::kLanes, y[j].real);
  }

  // The inverse of separated(). The results are conjugated, because an inverse transform follows.
  void joined(E* x, E* z) const {
    const T* roots = static_cast<const T*>(job.roots);
    const int64_t h = half();
    x[h].imaginary = typename Lanes<T>::Vector{};
    for (int64_t k = 0; k < h; ++k) {
      const E v = x[h - k], mirrored = {v.real, -v.imaginary};
      const E odd = times(x[k] - mirrored, roots[2 * k], -roots[2 * k + 1]), even = x[k] + mirrored;
      z[k] = {even.real - odd.imaginary, -(even.imaginary + odd.real)};
    }
  }
};

template <class T>
void fourier(const FourierJob& job, int64_t first, int64_t last, void* scratch) {
  using E = typename Lanes<T>::Element;
  E* a = static_cast<E*>(scratch);
  E* b = a + job.length + 1;
  for (int64_t at = first; at < last; at += Lanes<T>::kLanes) {
    const int64_t count = last - at < Lanes<T>::kLanes ? last - at : Lanes<T>::kLanes;
    Group<T>{job, at, count, a, b}.run();
  }
}

template <class T>
void fourier_single(const FourierJob& job, int64_t first, int64_t last, void* scratch) {
  SingleTransform<T> transform(job, scratch);
  for (int64_t t = first; t < last; ++t) transform.run(t);
}

}  // namespace

void fill_fourier(Table& table) {
  table.fourier[0] = fourier<float>;
  table.fourier[1] = fourier<double>;
  table.fourier_single[0] = fourier_single<float>;
  table.fourier_single[1] = fourier_single<double>;
  table.fourier_lanes[0] = Lanes<float>::kLanes;
  table.fourier_lanes[1] = Lanes<double>::kLanes;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
