// Unfolding of images to matrices of windows, for convolutions, and the transposed operation.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "flambeau/kernels/simd.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

template <class T>
struct Vector4 {  // access to memory as vectors of four numbers
  typedef T Four __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
  static Four load(const T* p) { return *reinterpret_cast<const Four*>(p); }
  static void store(T* p, Four v) { *reinterpret_cast<Four*>(p) = v; }
};

// split_pairs() copies the even and odd elements of a line to two arrays. add_pairs() adds two such arrays to a line.
template <class T>
FLAMBEAU_INLINE void split_pairs(T* even, T* odd, const T* line, int64_t pairs) {
  using P = Vector4<T>;
  int64_t i = 0;
  for (; i + 4 <= pairs; i += 4) {
    const auto a = P::load(line + 2 * i), b = P::load(line + 2 * i + 4);
    P::store(even + i, shuffled<0, 2, 4, 6>(a, b));
    P::store(odd + i, shuffled<1, 3, 5, 7>(a, b));
  }
  for (; i < pairs; ++i) even[i] = line[2 * i], odd[i] = line[2 * i + 1];
}
template <class T>
FLAMBEAU_INLINE void add_pairs(const T* even, const T* odd, T* line, int64_t pairs) {
  using P = Vector4<T>;
  int64_t i = 0;
  for (; i + 4 <= pairs; i += 4) {
    const auto a = P::load(even + i), b = P::load(odd + i);
    T* const to = line + 2 * i;
    P::store(to, P::load(to) + shuffled<0, 4, 1, 5>(a, b));
    P::store(to + 4, P::load(to + 4) + shuffled<2, 6, 3, 7>(a, b));
  }
  for (; i < pairs; ++i) line[2 * i] += even[i], line[2 * i + 1] += odd[i];
}

// Copy of an image with padded rows, whose columns are grouped by their remainder modulo the stride (their phase). In
// this order, the pixels that a tap of the kernel reads for a row of output positions are contiguous.
template <class T>
struct Phases {
  const Patches& g;
  const int64_t stride = g.stride[2], width = (g.size[2] + 2 * g.padding[2] + stride - 1) / stride,
                row = stride * width;
  T* data;

  explicit Phases(const Patches& g) : g(g) {
    data = static_cast<T*>(scratch(Scratch::Image, size_t(rows() * row + Simd<T>::kLanes) * sizeof(T)));
  }
  int64_t rows() const { return g.channels * g.size[0] * g.size[1]; }
  int64_t tap(int64_t shift) const { return shift % stride * width + shift / stride; }  // position of a tap in a row

  void fill(const T* image) const {
    std::fill(data, data + rows() * row, T(0));
    each(
        image,
        [](T* own, const T* line, int64_t n, int64_t step) {
          for (int64_t i = 0; i < n; ++i) own[i] = line[i * step];
        },
        split_pairs<T>);
  }
  void add_to(T* image) const {
    each(
        image,
        [](const T* own, T* line, int64_t n, int64_t step) {
          for (int64_t i = 0; i < n; ++i) line[i * step] += own[i];
        },
        add_pairs<T>);
  }

 private:
  // For every row, calls one(phase, pixels, count, stride) for each phase: phase[i] belongs to pixels[i * stride]. With
  // stride 2, calls both(even, odd, pixels, pairs): even[i] and odd[i] belong to pixels[2 * i] and pixels[2 * i + 1].
  template <class P, class One, class Both>
  FLAMBEAU_INLINE void each(P* image, One one, Both both) const {
    const int64_t size = g.size[2], padding = g.padding[2];
    for (int64_t r = 0; r < rows(); ++r, image += size) {
      T* own = data + r * row;
      if (stride == 2) {
        T *even = own + tap(padding), *odd = own + tap(padding + 1);
        both(even, odd, image, size / 2);
        if (size % 2) one(even + size / 2, image + size - 1, 1, 2);
        continue;
      }
      for (int64_t phase = 0; phase < stride; ++phase) {
        const int64_t shift = phase - padding, first = shift >= 0 ? 0 : (-shift + stride - 1) / stride,
                      last = size - shift <= 0 ? 0 : (size - shift + stride - 1) / stride;
        if (first < last) one(own + phase * width + first, image + shift + first * stride, last - first, stride);
      }
    }
  }
};

// Calls line(tap, at, source) for every tap and every row of output positions. The row begins at offset tap + at of the
// matrix and at offset `source` of the phases. If source is -1, the row is outside the image and consists of zeros.
// Rows of the matrix are `length` elements apart.
template <class T, class F>
FLAMBEAU_INLINE void each_line(const Phases<T>& phases, int64_t length, F&& line) {
  const Patches& g = phases.g;
  const auto [depth, height, width] = g.size;
  int64_t tap = 0;
  for (int64_t ch = 0; ch < g.channels; ++ch)
    for (int64_t kd = 0; kd < g.kernel[0]; ++kd)
      for (int64_t kh = 0; kh < g.kernel[1]; ++kh)
        for (int64_t kw = 0; kw < g.kernel[2]; ++kw, tap += length) {
          const int64_t shift = phases.tap(kw * g.dilation[2]);
          int64_t at = 0;
          for (int64_t od = 0; od < g.out[0]; ++od) {
            const int64_t z = od * g.stride[0] + kd * g.dilation[0] - g.padding[0];
            for (int64_t oh = 0; oh < g.out[1]; ++oh, at += g.out[2]) {
              const int64_t y = oh * g.stride[1] + kh * g.dilation[1] - g.padding[1];
              const bool beyond = (z < 0) | (z >= depth) | (y < 0) | (y >= height);
              line(tap, at, beyond ? -1 : ((ch * depth + z) * height + y) * phases.row + shift);
            }
          }
        }
}

// Stores vector(i) at to + i in steps of a vector. The last vector may extend beyond the n elements.
template <class T, class F>
FLAMBEAU_INLINE void in_vectors(T* to, int64_t n, F&& vector) {
  for (int64_t i = 0; i < n; i += Simd<T>::kLanes) Simd<T>::store(to + i, vector(i));
}

// Divides n elements into pieces of constant sizes and calls f(size, begin) for each piece.
template <class F>
FLAMBEAU_INLINE void in_pieces(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(std::integral_constant<int, 16>(), i);
  if (n & 8) f(std::integral_constant<int, 8>(), i), i += 8;
  if (n & 4) f(std::integral_constant<int, 4>(), i), i += 4;
  if (n & 2) f(std::integral_constant<int, 2>(), i), i += 2;
  if (n & 1) f(std::integral_constant<int, 1>(), i);
}

// Writes complete vectors. Elements that a vector writes beyond the end of a line are overwritten by the next lines of
// the same tap. The last lines of a tap are written exactly, because the memory after them must not change.
template <class T>
void unfold(const Patches& g, const char* image, char* matrix, int64_t length) {
  constexpr int64_t L = Simd<T>::kLanes;
  const Phases<T> phases(g);
  phases.fill(reinterpret_cast<const T*>(image));
  const int64_t width = g.out[2], positions = g.out[0] * g.out[1] * width, whole = (width + L - 1) / L * L;
  each_line(phases, length, [&](int64_t tap, int64_t at, int64_t source_offset) {
    T* __restrict to = reinterpret_cast<T*>(matrix) + tap + at;
    const T* __restrict from = phases.data + (source_offset < 0 ? 0 : source_offset);
    if (at + whole <= positions) {
      if (source_offset < 0)
        in_vectors(to, width, [](int64_t) { return typename Simd<T>::Vector{}; });
      else
        in_vectors(to, width, [&](int64_t i) { return Simd<T>::load(from + i); });
    } else if (source_offset < 0) {
      in_pieces(width, [&](auto n, int64_t i) { std::memset(to + i, 0, n * sizeof(T)); });
    } else {
      in_pieces(width, [&](auto n, int64_t i) { std::memcpy(to + i, from + i, n * sizeof(T)); });
    }
  });
}

template <class T>
void fold(const Patches& g, const char* matrix, char* image, int64_t length) {
  const Phases<T> phases(g);
  std::fill(phases.data, phases.data + phases.rows() * phases.row, T(0));
  each_line(phases, length, [&, width = g.out[2]](int64_t tap, int64_t at, int64_t source_offset) {
    if (source_offset < 0) return;
    const T* __restrict from = reinterpret_cast<const T*>(matrix) + tap + at;
    T* __restrict to = phases.data + source_offset;
    in_pieces(width, [&](auto n, int64_t i) {
      for (int k = 0; k < n; ++k) to[i + k] += from[i + k];
    });
  });
  phases.add_to(reinterpret_cast<T*>(image));
}

}  // namespace

void fill_windows(Table& table) {
  table.unfold[0] = unfold<float>;
  table.unfold[1] = unfold<double>;
  table.unfold[2] = unfold<int64_t>;
  table.unfold_words = unfold<uint16_t>;
  table.fold[0] = fold<float>;
  table.fold[1] = fold<double>;
  table.fold[2] = fold<int64_t>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
