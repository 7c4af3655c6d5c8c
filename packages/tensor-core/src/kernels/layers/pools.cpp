// Max pooling, which finds the maximum of each window and its position, and sums of rows for other pooling operators.
#include <cstring>
#include <limits>
#include <type_traits>

#include "flambeau/kernels/math.h"
#include "flambeau/kernels/simd.h"
#include "kernels/fold.h"
#include "kernels/layers/networks.h"
#include "kernels/scratch.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kBlock = 512;  // outputs of a row that are processed together

// Compares one tap of every window in a row of windows with the current best values. If values are equal, the first one
// is kept. The tap of window o is at position_of(o) and is ignored unless valid(o).
template <class T, class Index, class ToPosition, class Valid>
FLAMBEAU_INLINE void take_larger(T* __restrict best, Index* __restrict at, const T* __restrict in, int64_t first,
                                 int64_t last, ToPosition position_of, Valid valid) {
#pragma GCC ivdep
  for (int64_t o = first; o < last; ++o) {
    const auto i = position_of(o);
    const T v = in[i];
    const bool better = ((v > best[o]) | (v != v) | (at[o] < 0)) & valid(o);
    best[o] = better ? v : best[o];
    at[o] = better ? Index(i) : at[o];
  }
}

// The maximum of a window that is entirely inside the padding.
template <class T>
inline constexpr T kNoMaximum =
    std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();

template <class T, class Index>
FLAMBEAU_INLINE void clear(T* best, Index* at, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    best[i] = kNoMaximum<T>;
    at[i] = -1;
  }
}

// Returns true if a value replaces the current maximum, because it is larger, or equal and at an earlier position. The
// last NaN is kept.
template <class T, class Index>
FLAMBEAU_INLINE bool is_better(T v, Index at, T best, Index best_at) {
  return (v > best) | ((v == best) & (at < best_at)) | ((v != v) & ((best == best) | (at > best_at)));
}

// First reduces the rows that a row of windows covers to a single row, then each window along that row.
template <class T>
void max_windows(const MaxWindows& w, const char* in_bytes, char* out_bytes, int64_t* indices) {
  const T* in = reinterpret_cast<const T*>(in_bytes);
  T* out = reinterpret_cast<T*>(out_bytes);
  const auto &deep = w.axes[0], &high = w.axes[1], &wide = w.axes[2];
  const int64_t width = wide.size;
  // Does not use std::vector, because the linker may replace the baseline's code of std::vector by this one (Note [One
  // definition]).
  auto* const rows = static_cast<int64_t*>(scratch(Scratch::Window, size_t(width) * (sizeof(int64_t) + sizeof(T))));
  T* const best = reinterpret_cast<T*>(rows + width);
  for (int64_t od = 0; od < deep.out; ++od)
    for (int64_t oh = 0; oh < high.out; ++oh, out += wide.out, indices += wide.out) {
      clear(best, rows, width);
      for (int64_t kd = 0; kd < deep.count[od]; ++kd)
        for (int64_t kh = 0; kh < high.count[oh]; ++kh) {
          const int64_t row = (deep.start[od] + kd * deep.step) * high.size + high.start[oh] + kh * high.step;
          const T* from = in + row * width;
#pragma GCC ivdep
          for (int64_t i = 0; i < width; ++i) {
            const bool better = (from[i] > best[i]) | (from[i] != from[i]) | (rows[i] < 0);
            best[i] = better ? from[i] : best[i];
            rows[i] = better ? row : rows[i];
          }
        }
      for (int64_t o = 0; o < wide.out; ++o) {
        int64_t i = wide.start[o];
        out[o] = best[i];
        indices[o] = rows[i] * width + i;
        for (int64_t k = 1; k < wide.count[o]; ++k) {
          const T v = best[i += wide.step];
          const int64_t at = rows[i] * width + i;
          const bool better = is_better(v, at, out[o], indices[o]);
          out[o] = better ? v : out[o];
          indices[o] = better ? at : indices[o];
        }
      }
    }
}

// Compares the taps in one row of the image with the current best values of a row of windows. `row` is the offset of
// the image's row.
template <class T, class Index>
void max_row(const EqualWindows& w, const T* in, int64_t row, int64_t begin, int64_t count, T* best, Index* at) {
  const int64_t stride = w.stride[2];
  const auto always = [](int64_t) __attribute__((always_inline)) { return true; };
  for (int64_t kw = 0; kw < w.kernel[2]; ++kw) {
    const int64_t shift = begin * stride - w.padding[2] + kw * w.dilation[2], room = w.size[2] - shift;
    const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const int64_t last = room <= 0 ? 0 : minimum(count, (room + stride - 1) / stride);
    const int64_t from = row + shift;
    if (stride == 1)
      take_larger(
          best, at, in, first, last, [=](int64_t o) __attribute__((always_inline)) { return from + o; }, always);
    else if (stride == 2)
      take_larger(
          best, at, in, first, last, [=](int64_t o) __attribute__((always_inline)) { return from + o * 2; }, always);
    else
      take_larger(
          best, at, in, first, last, [=](int64_t o) __attribute__((always_inline)) { return from + o * stride; },
          always);
  }
}

template <class T>
void max_rows(const EqualWindows& w, const T* in, T* out, int64_t* indices) {
  typename Simd<T>::Integer at[kBlock];
  for (int64_t od = 0; od < w.out[0]; ++od)
    for (int64_t oh = 0; oh < w.out[1]; ++oh, out += w.out[2], indices += w.out[2])
      for (int64_t begin = 0; begin < w.out[2]; begin += kBlock) {
        const int64_t count = minimum(kBlock, w.out[2] - begin);
        clear(out + begin, at, count);
        for (int64_t kd = 0; kd < w.kernel[0]; ++kd)
          for (int64_t kh = 0; kh < w.kernel[1]; ++kh) {
            const int64_t z = od * w.stride[0] - w.padding[0] + kd * w.dilation[0];
            const int64_t y = oh * w.stride[1] - w.padding[1] + kh * w.dilation[1];
            if (z < 0 || z >= w.size[0] || y < 0 || y >= w.size[1]) continue;
            max_row(w, in, (z * w.size[1] + y) * w.size[2], begin, count, out + begin, at);
          }
        for (int64_t i = 0; i < count; ++i) indices[begin + i] = at[i] < 0 ? 0 : at[i];
      }
}

constexpr int64_t kNarrow = 8;  // if a row has fewer outputs, each window is processed separately

// A window along an axis: its first position in the image, and the number of positions.
struct WindowRange {
  int64_t start, count;
};
WindowRange window_range(const EqualWindows& w, int axis, int64_t o) {
  const int64_t step = w.dilation[axis], begin = o * w.stride[axis] - w.padding[axis];
  const int64_t skipped = begin >= 0 ? 0 : step == 1 ? -begin : (-begin + step - 1) / step;
  const int64_t start = begin + skipped * step, room = w.size[axis] - start;
  const int64_t taps_inside = room <= 0 ? 0 : step == 1 ? room : (room + step - 1) / step;
  return {start, minimum(w.kernel[axis] - skipped, taps_inside)};
}

template <class T>
void max_narrow_rows(const EqualWindows& w, const T* in, T* out, int64_t* indices) {
  WindowRange columns[kNarrow];
  for (int64_t ow = 0; ow < w.out[2]; ++ow) columns[ow] = window_range(w, 2, ow);
  for (int64_t od = 0; od < w.out[0]; ++od) {
    const WindowRange z = window_range(w, 0, od);
    for (int64_t oh = 0; oh < w.out[1]; ++oh) {
      const WindowRange y = window_range(w, 1, oh);
      for (int64_t ow = 0; ow < w.out[2]; ++ow) {
        const WindowRange x = columns[ow];
        T best = kNoMaximum<T>;
        int64_t at = -1;
        for (int64_t kd = 0; kd < z.count; ++kd)
          for (int64_t kh = 0; kh < y.count; ++kh) {
            const int64_t row = (z.start + kd * w.dilation[0]) * w.size[1] + y.start + kh * w.dilation[1];
            for (int64_t kw = 0, i = row * w.size[2] + x.start; kw < x.count; ++kw, i += w.dilation[2]) {
              const T v = in[i];
              const bool better = (v > best) | (v != v) | (at < 0);
              best = better ? v : best;
              at = better ? i : at;
            }
          }
        *out++ = best;
        *indices++ = at < 0 ? 0 : at;
      }
    }
  }
}

// Computes a vector of outputs for the most common windows: two columns with stride 2, one or two rows, without
// padding. If values are equal, the first one is kept. For windows of one row, `above` and `below` are equal.
template <class T>
FLAMBEAU_INLINE void choose(const T* above, const T* below, T* out, int64_t* indices, int64_t row, int64_t width) {
  using S = Simd<T>;
  using Vector = typename S::Vector;
  using Mask = typename S::Mask;
  constexpr int L = S::kLanes;
  const Mask even = S::iota(0, 2);
  const Vector x0 = S::load(above), x1 = S::load(above + L), y0 = S::load(below), y1 = S::load(below + L);
  const Vector a = every_second<0>(x0, x1), b = every_second<1>(x0, x1), c = every_second<0>(y0, y1),
               d = every_second<1>(y0, y1);
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
void max_pairs(const EqualWindows& w, const T* in, T* out, int64_t* indices) {
  constexpr int L = Simd<T>::kLanes;
  const int64_t columns = w.out[2], width = w.size[2], height = w.kernel[1];
  for (int64_t oh = 0; oh < w.out[1]; ++oh, out += columns, indices += columns) {
    const int64_t row = height * oh * width;
    const T *above = in + row, *below = above + (height - 1) * width;
    int64_t ow = 0;
    for (; ow + L <= columns; ow += L)
      choose(above + 2 * ow, below + 2 * ow, out + ow, indices + ow, row + 2 * ow, width);
    // Copies the remainder to a block of complete vectors, because branches that depend on data take longer.
    if (const int64_t rest = columns - ow; rest > 0) {
      T x[2 * L] = {}, y[2 * L] = {}, best[L];
      int64_t at[L];
      std::memcpy(x, above + 2 * ow, size_t(2 * rest) * sizeof(T));
      std::memcpy(y, below + 2 * ow, size_t(2 * rest) * sizeof(T));
      choose(x, y, best, at, row + 2 * ow, width);
      std::memcpy(out + ow, best, size_t(rest) * sizeof(T));
      std::memcpy(indices + ow, at, size_t(rest) * sizeof(int64_t));
    }
  }
}

template <class T>
void max_equal_windows(const EqualWindows& w, const char* in, char* out, int64_t* indices) {
  bool usual = w.size[0] == 1 && w.kernel[0] == 1 && w.kernel[2] == 2 && w.kernel[1] <= 2;
  for (int i = 1; i < 3; ++i)
    usual &=
        w.stride[i] == w.kernel[i] && w.padding[i] == 0 && w.dilation[i] == 1 && w.kernel[i] * w.out[i] <= w.size[i];
  (usual                ? max_pairs<T>
   : w.out[2] < kNarrow ? max_narrow_rows<T>
                        : max_rows<T>)(w, reinterpret_cast<const T*>(in), reinterpret_cast<T*>(out), indices);
}

template <class T>
void row_sums(const char* in_bytes, int64_t rows, int64_t length, char* out_bytes, double scale) {
  using S = Simd<T>;
  const T* in = reinterpret_cast<const T*>(in_bytes);
  T* out = reinterpret_cast<T*>(out_bytes);
  for (int64_t r = 0; r < rows; ++r, in += length) {
    typename S::Vector total = {};
    int64_t i = 0;
    for (; i + S::kLanes <= length; i += S::kLanes) total += S::load(in + i);
    T lanes[S::kLanes] = {};
    if (i < length) {
      std::memcpy(lanes, in + i, size_t(length - i) * sizeof(T));
      total += S::load(lanes);
    }
    S::store(lanes, total);
    halve_lanes<Add, S::kLanes, 1>(lanes);
    out[r] = lanes[0] * T(scale);
  }
}

// Computes the weighted sum of rows of a table, for the columns [first, first + Vectors * lanes), in registers.
// Separate sums of even and odd rows hide the latency.
template <class T, int Vectors>
FLAMBEAU_INLINE void sum_columns(const T* table, const int64_t* indices, const T* weights, int64_t count, int64_t width,
                                 int64_t first, T* out) {
  using S = Simd<T>;
  typename S::Vector sums[2][Vectors] = {};
  const auto add = [&](int64_t i, int which) {
    const T* row = table + indices[i] * width + first;
    const T factor = weights ? weights[i] : T(1);
    for (int v = 0; v < Vectors; ++v) sums[which][v] += factor * S::load(row + v * S::kLanes);
  };
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    add(i, 0);
    add(i + 1, 1);
  }
  if (i < count) add(i, 0);
  for (int v = 0; v < Vectors; ++v) S::store(out + first + v * S::kLanes, sums[0][v] + sums[1][v]);
}

// Like sum_columns(), for fewer columns than a vector has.
template <class T, int Columns>
FLAMBEAU_INLINE void sum_few_columns(const T* table, const int64_t* indices, const T* weights, int64_t count,
                                     int64_t width, int64_t first, T* out) {
  T sums[2][Columns] = {};
  for (int64_t i = 0; i < count; ++i) {
    const T* row = table + indices[i] * width + first;
    const T factor = weights ? weights[i] : T(1);
    for (int d = 0; d < Columns; ++d) sums[0][d] += factor * row[d];
    if (++i == count) break;
    const T* next = table + indices[i] * width + first;
    const T its_factor = weights ? weights[i] : T(1);
    for (int d = 0; d < Columns; ++d) sums[1][d] += its_factor * next[d];
  }
  for (int d = 0; d < Columns; ++d) out[first + d] = sums[0][d] + sums[1][d];
}

template <class T>
void sum_rows(const char* table_bytes, const int64_t* indices, const char* weight_bytes, int64_t count, int64_t width,
              char* out_bytes) {
  constexpr int64_t kLanes = Simd<T>::kLanes;
  const T *table = reinterpret_cast<const T*>(table_bytes), *weights = reinterpret_cast<const T*>(weight_bytes);
  T* out = reinterpret_cast<T*>(out_bytes);
  int64_t first = 0;
  const auto sum = [&](auto columns, auto kernel) {
    for (; first + columns <= width; first += columns) kernel(table, indices, weights, count, width, first, out);
  };
  sum(4 * kLanes, [](auto... a) { sum_columns<T, 4>(a...); });
  sum(2 * kLanes, [](auto... a) { sum_columns<T, 2>(a...); });
  sum(kLanes, [](auto... a) { sum_columns<T, 1>(a...); });
  sum(int64_t(4), [](auto... a) { sum_few_columns<T, 4>(a...); });
  sum(int64_t(1), [](auto... a) { sum_few_columns<T, 1>(a...); });
}

}  // namespace

void fill_pools(NetworkTable& table) {
  table.max_windows[0] = max_windows<float>;
  table.max_windows[1] = max_windows<double>;
  table.max_windows[2] = max_windows<int64_t>;
  table.max_equal_windows[0] = max_equal_windows<float>;
  table.max_equal_windows[1] = max_equal_windows<double>;
  table.max_equal_windows[2] = max_equal_windows<int64_t>;
  table.row_sums[0] = row_sums<float>;
  table.row_sums[1] = row_sums<double>;
  table.sum_rows[0] = sum_rows<float>;
  table.sum_rows[1] = sum_rows<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
