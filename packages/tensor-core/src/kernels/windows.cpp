// Windows over images: unfolding for convolutions.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/scratch.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// An image's rows, padded at both ends, with the columns that are a stride apart side by side: what a tap reads for a
// row of output positions is then one stretch.
template <class T>
struct Phases {
  const Patches& g;
  const int64_t stride = g.stride[2], width = (g.size[2] + 2 * g.padding[2] + stride - 1) / stride,
                row = stride * width;
  T* data;

  explicit Phases(const Patches& g) : g(g) {
    static thread_local Scratch scratch;
    data = static_cast<T*>(scratch.get(size_t(rows() * row) * sizeof(T)));
  }
  int64_t rows() const { return g.channels * g.size[0] * g.size[1]; }
  int64_t tap(int64_t shift) const { return shift % stride * width + shift / stride; }  // where it begins in a row

  // Calls f(the phase's element, the image's) for all that are in the image.
  template <int64_t Stride, class P, class F>
  FLAMBEAU_INLINE void each(P* image, F&& f) const {
    const int64_t step = Stride ? Stride : stride, size = g.size[2], padding = g.padding[2];
    for (int64_t r = 0; r < rows(); ++r, image += size)
      for (int64_t phase = 0; phase < step; ++phase) {
        const int64_t shift = phase - padding, first = shift >= 0 ? 0 : (-shift + step - 1) / step,
                      last = size - shift <= 0 ? 0 : (size - shift + step - 1) / step;
        T* __restrict own = data + r * row + phase * width;
        P* __restrict line = image + shift;
        for (int64_t i = first; i < last; ++i) f(own[i], line[i * step]);
      }
  }
  template <class P, class F>
  void each(P* image, F f) const {
    if (stride == 1) return each<1>(image, f);
    stride == 2 ? each<2>(image, f) : each<0>(image, f);
  }
};

// Calls line(place in the matrix, place among the phases or -1 beyond the image) for every row of output positions of
// every tap. Rows of the matrix are `length` apart.
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
          int64_t at = tap;
          for (int64_t od = 0; od < g.out[0]; ++od) {
            const int64_t z = od * g.stride[0] + kd * g.dilation[0] - g.padding[0];
            for (int64_t oh = 0; oh < g.out[1]; ++oh, at += g.out[2]) {
              const int64_t y = oh * g.stride[1] + kh * g.dilation[1] - g.padding[1];
              const bool beyond = (z < 0) | (z >= depth) | (y < 0) | (y >= height);
              line(at, beyond ? -1 : ((ch * depth + z) * height + y) * phases.row + shift);
            }
          }
        }
}

// Short lines, in pieces of known size: f(piece's size, where it begins).
template <class F>
FLAMBEAU_INLINE void in_pieces(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(std::integral_constant<int, 16>(), i);
  if (n & 8) f(std::integral_constant<int, 8>(), i), i += 8;
  if (n & 4) f(std::integral_constant<int, 4>(), i), i += 4;
  if (n & 2) f(std::integral_constant<int, 2>(), i), i += 2;
  if (n & 1) f(std::integral_constant<int, 1>(), i);
}

template <class T>
void unfold(const Patches& g, const char* image, char* matrix, int64_t length) {
  const Phases<T> phases(g);
  std::fill(phases.data, phases.data + phases.rows() * phases.row, T(0));
  phases.each(reinterpret_cast<const T*>(image), [](T& own, const T& value) { own = value; });
  each_line(phases, length, [&, width = g.out[2]](int64_t at, int64_t place) {
    T* __restrict to = reinterpret_cast<T*>(matrix) + at;
    if (place < 0) return in_pieces(width, [&](auto n, int64_t i) { std::memset(to + i, 0, n * sizeof(T)); });
    const T* __restrict from = phases.data + place;
    in_pieces(width, [&](auto n, int64_t i) { std::memcpy(to + i, from + i, n * sizeof(T)); });
  });
}

template <class T>
void fold(const Patches& g, const char* matrix, char* image, int64_t length) {
  const Phases<T> phases(g);
  std::fill(phases.data, phases.data + phases.rows() * phases.row, T(0));
  each_line(phases, length, [&, width = g.out[2]](int64_t at, int64_t place) {
    if (place < 0) return;
    const T* __restrict from = reinterpret_cast<const T*>(matrix) + at;
    T* __restrict to = phases.data + place;
    in_pieces(width, [&](auto n, int64_t i) {
      for (int k = 0; k < n; ++k) to[i + k] += from[i + k];
    });
  });
  phases.each(reinterpret_cast<T*>(image), [](const T& own, T& value) { value += own; });
}

}  // namespace

void fill_windows(Table& table) {
  table.unfold[0] = unfold<float>;
  table.unfold[1] = unfold<double>;
  table.unfold[2] = unfold<int64_t>;
  table.fold[0] = fold<float>;
  table.fold[1] = fold<double>;
  table.fold[2] = fold<int64_t>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
