// Windows over images: unfolding for convolutions, and max pooling.
#include <limits>

#include "kernels/math.h"
#include "kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// The output positions whose tap falls inside the image: [first, last) of [0, out).
struct Range {
  int64_t first, last;
};
Range inside(int64_t out, int64_t in, int64_t stride, int64_t shift) {  // 0 <= o * stride + shift < in
  const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t last = in - shift <= 0 ? 0 : (in - shift + stride - 1) / stride;
  return {minimum(first, out), maximum(minimum(first, out), minimum(last, out))};
}

// Calls row(place in the matrix, place in the image of its first column, columns inside the image) for every row of
// out_w places of the unfolded matrix; with no columns inside where the row is beyond the image.
template <class F>
FLAMBEAU_INLINE void each_row(const Patches& g, F&& row) {
  int64_t at = 0;
  for (int64_t ch = 0; ch < g.channels; ++ch)
    for (int64_t kh = 0; kh < g.kernel_h; ++kh)
      for (int64_t kw = 0; kw < g.kernel_w; ++kw) {
        const int64_t dx = kw * g.dilation_w - g.pad_w;
        const Range columns = inside(g.out_w, g.width, g.stride_w, dx);
        for (int64_t oh = 0; oh < g.out_h; ++oh, at += g.out_w) {
          const int64_t ih = oh * g.stride_h + kh * g.dilation_h - g.pad_h;
          const bool beyond = ih < 0 || ih >= g.height;
          row(at, (ch * g.height + ih) * g.width + dx, beyond ? Range{0, 0} : columns);
        }
      }
}

template <class T>
void unfold(const Patches& g, const char* image_bytes, char* matrix_bytes) {
  const T* image = reinterpret_cast<const T*>(image_bytes);
  T* matrix = reinterpret_cast<T*>(matrix_bytes);
  const int64_t width = g.out_w, stride = g.stride_w;
  each_row(g, [=](int64_t at, int64_t from, Range columns) {
    T* to = matrix + at;
    for (int64_t i = 0; i < columns.first; ++i) to[i] = T(0);
    for (int64_t i = columns.first; i < columns.last; ++i) to[i] = image[from + i * stride];
    for (int64_t i = columns.last; i < width; ++i) to[i] = T(0);
  });
}

template <class T>
void fold(const Patches& g, const char* matrix_bytes, char* image_bytes) {
  const T* matrix = reinterpret_cast<const T*>(matrix_bytes);
  T* image = reinterpret_cast<T*>(image_bytes);
  const int64_t stride = g.stride_w;
  each_row(g, [=](int64_t at, int64_t from, Range columns) {
    for (int64_t i = columns.first; i < columns.last; ++i) image[from + i * stride] += matrix[at + i];
  });
}

template <class T>
void max_window(const PoolPlane& w, const T* in, T* out, int64_t* indices) {
  for (int64_t oh = 0; oh < w.out_h; ++oh)
    for (int64_t ow = 0; ow < w.out_w; ++ow, ++out, ++indices) {
      const int64_t top = oh * w.stride_h - w.pad_h, left = ow * w.stride_w - w.pad_w;
      T best = std::numeric_limits<T>::lowest();
      int64_t at = -1;
      for (int64_t kh = 0; kh < w.kernel_h; ++kh) {
        const int64_t y = top + kh * w.dilation_h;
        if (y < 0 || y >= w.height) continue;
        for (int64_t kw = 0; kw < w.kernel_w; ++kw) {
          const int64_t x = left + kw * w.dilation_w;
          if (x < 0 || x >= w.width) continue;
          const T v = in[y * w.width + x];
          const bool better = (v > best) | (v != v) | (at < 0);
          best = better ? v : best;
          at = better ? y * w.width + x : at;
        }
      }
      *out = best;
      *indices = at;
    }
}

// The usual 2x2 window with stride 2, without borders: of equal values the first, as above.
template <class T>
FLAMBEAU_INLINE void choose(const T* above, const T* below, T* out, int64_t* indices, int64_t row, int64_t width) {
  using S = Simd<T>;
  using Vector = typename S::Vector;
  using Mask = typename S::Mask;
  constexpr int L = S::kLanes;
  const Mask even = S::iota(0, 2), odd = S::iota(1, 2);
  const Vector x0 = S::load(above), x1 = S::load(above + L), y0 = S::load(below), y1 = S::load(below + L);
  const Vector a = __builtin_shuffle(x0, x1, even), b = __builtin_shuffle(x0, x1, odd),
               c = __builtin_shuffle(y0, y1, even), d = __builtin_shuffle(y0, y1, odd);
  const Vector upper = (a > b) | (a != a) ? a : b, lower = (c > d) | (c != c) ? c : d;
  const Vector best = (upper > lower) | (upper != upper) ? upper : lower;
  const Mask below_at = Mask{} + typename S::Integer(width);
  Mask at = (c == best) | (c != c) ? below_at : below_at + 1;
  at = (b == best) | (b != b) ? Mask{} + 1 : at;
  at = (a == best) | (a != a) ? Mask{} : at;
  at += even + typename S::Integer(row);
  S::store(out, best);
  for (int l = 0; l < L; ++l) indices[l] = at[l];
}

template <class T>
void max_2x2(const PoolPlane& w, const T* in, T* out, int64_t* indices) {
  constexpr int L = Simd<T>::kLanes;
  const int64_t columns = w.out_w;
  for (int64_t oh = 0; oh < w.out_h; ++oh, out += columns, indices += columns) {
    const T *above = in + 2 * oh * w.width, *below = above + w.width;
    const int64_t row = 2 * oh * w.width;
    int64_t ow = 0;
    for (; ow + L <= columns; ow += L)
      choose(above + 2 * ow, below + 2 * ow, out + ow, indices + ow, row + 2 * ow, w.width);
    if (const int64_t rest = columns - ow; rest > 0) {  // through a block of whole vectors: branches on data cost more
      T x[2 * L] = {}, y[2 * L] = {}, best[L];
      int64_t at[L];
      std::memcpy(x, above + 2 * ow, size_t(2 * rest) * sizeof(T));
      std::memcpy(y, below + 2 * ow, size_t(2 * rest) * sizeof(T));
      choose(x, y, best, at, row + 2 * ow, w.width);
      std::memcpy(out + ow, best, size_t(rest) * sizeof(T));
      std::memcpy(indices + ow, at, size_t(rest) * sizeof(int64_t));
    }
  }
}

template <class T>
void max_pool(const PoolPlane& w, const char* in, char* out, int64_t* indices) {
  const bool usual = w.kernel_h == 2 && w.kernel_w == 2 && w.stride_h == 2 && w.stride_w == 2 && w.pad_h == 0 &&
                     w.pad_w == 0 && w.dilation_h == 1 && w.dilation_w == 1 && 2 * w.out_h <= w.height &&
                     2 * w.out_w <= w.width && w.height * w.width < (int64_t(1) << 30);
  (usual ? max_2x2<T> : max_window<T>)(w, reinterpret_cast<const T*>(in), reinterpret_cast<T*>(out), indices);
}

}  // namespace

void fill_windows(Table& table) {
  table.unfold[0] = unfold<float>;
  table.unfold[1] = unfold<double>;
  table.fold[0] = fold<float>;
  table.fold[1] = fold<double>;
  table.max_pool[0] = max_pool<float>;
  table.max_pool[1] = max_pool<double>;
  table.max_pool[2] = max_pool<int64_t>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
