// Copies between any two layouts.
//
// Note [Strided copies]
// Dimensions are merged if both layouts allow it. The last two of the remaining dimensions form a plane of rows and
// columns. Rows that are contiguous in both layouts are copied as a block. If `from` is contiguous along the other
// dimension of the plane (a transposition), square tiles are read by whole cache lines, transposed in the cache and
// written by whole cache lines.
#include "core/strided_copy.h"

#include <cstring>

#include "core/words.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

struct Axis {
  int64_t size, to, from;  // strides in bytes
};

struct Copy {
  char* out;
  const char* in;
  int64_t to_size, from_size;
  // True if elements need no conversion and both memories are aligned for them. The memory of other libraries may not
  // be aligned.
  bool plain;
  kernels::CastKernel cast;
  int planes;  // number of axes that are neither rows nor columns
  Axis axes[kMaxDims];
  Axis rows, columns;

  int64_t plane_count() const {
    int64_t n = 1;
    for (int d = 0; d < planes; ++d) n *= axes[d].size;
    return n;
  }
};

Copy plan_copy(const Tensor& to, const Tensor& from) {
  Copy c;
  c.out = to.bytes();
  c.in = from.bytes();
  c.to_size = item_size(to.dtype());
  c.from_size = item_size(from.dtype());
  c.plain = to.dtype() == from.dtype() &&
            (reinterpret_cast<uintptr_t>(c.out) | reinterpret_cast<uintptr_t>(c.in)) % uintptr_t(c.to_size) == 0;
  c.cast = kernels::table().cast[int(to.dtype())][int(from.dtype())];
  const size_t shift = to.shape().size() - from.shape().size();
  int dims = 0;
  for (size_t i = 0; i < to.shape().size(); ++i) {
    const int64_t n = to.shape()[i];
    if (n == 1) continue;
    const bool repeats = i < shift || from.shape()[i - shift] == 1;
    const Axis axis{n, to.strides()[i] * c.to_size, repeats ? 0 : from.strides()[i - shift] * c.from_size};
    if (dims > 0 && c.axes[dims - 1].to == axis.to * n && c.axes[dims - 1].from == axis.from * n)
      c.axes[dims - 1] = {c.axes[dims - 1].size * n, axis.to, axis.from};
    else
      c.axes[dims++] = axis;
  }
  c.columns = dims > 0 ? c.axes[dims - 1] : Axis{1, c.to_size, c.from_size};
  c.rows = dims > 1 ? c.axes[dims - 2] : Axis{1, 0, 0};
  c.planes = std::max(0, dims - 2);
  return c;
}

// Advances the pointers to plane `plane`.
void enter(const Copy& c, int64_t plane, char*& out, const char*& in) {
  for (int d = c.planes - 1; d >= 0; --d) {
    const int64_t at = plane % c.axes[d].size;
    out += at * c.axes[d].to;
    in += at * c.axes[d].from;
    plane /= c.axes[d].size;
  }
}

template <class T, class F>
FLAMBEAU_INLINE void each_row(const Copy& c, char* out, const char* in, int64_t rows, F&& row) {
  for (int64_t r = 0; r < rows; ++r)
    row(reinterpret_cast<T*>(out + r * c.rows.to), reinterpret_cast<const T*>(in + r * c.rows.from));
}

// Copies rows of elements of one size, with a separate loop for each common combination of strides.
template <class T>
void copy_rows(const Copy& c, char* out, const char* in, int64_t rows, int64_t n) {
  constexpr int64_t item = sizeof(T);
  const int64_t to = c.columns.to / item, from = c.columns.from / item;
  if (to == 1 && from == 1 && n * item > 128)
    each_row<T>(c, out, in, rows, [n](T* a, const T* b) { std::memcpy(a, b, size_t(n) * item); });
  else if (to == 1 && from == 1)
    each_row<T>(c, out, in, rows, [n](T* a, const T* b) {
      for (int64_t j = 0; j < n; ++j) a[j] = b[j];
    });
  else if (to == 1 && from == 0)
    each_row<T>(c, out, in, rows, [n](T* a, const T* b) { std::fill_n(a, n, *b); });
  else if (to == 1 && n >= 16 && (from == -1 || from == 2))
    each_row<char>(c, out, in, rows, [&](char* a, const char* b) { c.cast(a, item, b, from * item, n); });
  else
    each_row<T>(c, out, in, rows, [n, to, from](T* a, const T* b) {
      for (int64_t j = 0; j < n; ++j) a[j * to] = b[j * from];
    });
}

// Copies `rows` rows of n elements, with a conversion if necessary.
void copy_block(const Copy& c, char* out, const char* in, int64_t rows, int64_t n) {
  if (c.plain)
    return dispatch_size(c.to_size, [&](auto tag) { copy_rows<typename decltype(tag)::type>(c, out, in, rows, n); });
  for (int64_t r = 0; r < rows; ++r) c.cast(out + r * c.rows.to, c.columns.to, in + r * c.rows.from, c.columns.from, n);
}

constexpr int64_t kPiece = 32768;  // minimum number of elements for a thread

// Copies rows of more than kPiece elements in pieces, which threads share.
void run_pieces(const Copy& c) {
  const int64_t columns = c.columns.size, pieces = (columns + kPiece - 1) / kPiece;
  parallel_items(c.plane_count() * c.rows.size * pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / pieces, first = i % pieces * kPiece;
      char* out = c.out + row % c.rows.size * c.rows.to + first * c.columns.to;
      const char* in = c.in + row % c.rows.size * c.rows.from + first * c.columns.from;
      enter(c, row / c.rows.size, out, in);
      copy_block(c, out, in, 1, std::min(kPiece, columns - first));
    }
  });
}

void run_rows(const Copy& c) {
  if (c.columns.size > kPiece) return run_pieces(c);
  const int64_t rows = c.rows.size, grain = std::max<int64_t>(1, kPiece / c.columns.size);
  parallel_items(c.plane_count() * rows, grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t plane = begin / rows, row = begin - plane * rows, n = std::min(rows - row, end - begin);
      char* out = c.out + row * c.rows.to;
      const char* in = c.in + row * c.rows.from;
      enter(c, plane, out, in);
      copy_block(c, out, in, n, c.columns.size);
      begin += n;
    }
  });
}

// A tile is kTile columns wide and at most kTileBytes bytes high.
constexpr int64_t kTile = 64, kStrip = 8, kTileBytes = 256;

// Transposes a strip: square[i][j] = in[j][i]. The strip has `width` lines of `height` elements, and consecutive lines
// begin `line` bytes apart.
template <class T>
void transpose_square(T* square, const char* in, int64_t line, int64_t height, int64_t width) {
  for (int64_t j = 0; j < width; ++j) {
    const T* from = reinterpret_cast<const T*>(in + j * line);
    for (int64_t i = 0; i < height; ++i) square[i * kTile + j] = from[i];
  }
}
void turn_strip(char* square, const char* in, int64_t line, int64_t item, int64_t height, int64_t width) {
  if (item == 2 || item == 4 || item == 8)
    return kernels::table().transpose_words[item / 4](square, kTile, in, line / item, width, height);
  dispatch_size(item, [&](auto tag) {
    using T = typename decltype(tag)::type;
    transpose_square(reinterpret_cast<T*>(square), in, line, height, width);
  });
}

// Transposes via a small buffer. Without it, lines whose distance is a power of two would evict each other from the
// cache. Prefetches the lines of the next tile, which hardware prefetchers do not predict.
void turn_square(const Copy& c, char* out, const char* in, int64_t height, int64_t width, int64_t next) {
  alignas(64) char square[kTile * kTileBytes];
  const int64_t item = c.to_size, line = c.columns.from;
  for (int64_t j = 0; j < width; j += kStrip) {
    const int64_t lines = std::min(kStrip, width - j);
    for (int64_t ahead = j; ahead < std::min(j + lines, next); ++ahead)
      for (int64_t byte = 0; byte < height * item; byte += 64)
        __builtin_prefetch(in + (ahead + width) * line + byte, 0, 2);
    turn_strip(square + j * item, in + j * line, line, item, height, lines);
  }
  for (int64_t i = 0; i < height; ++i)
    std::memcpy(out + i * c.rows.to, square + i * kTile * item, size_t(width * item));
}

void run_transposed(const Copy& c) {
  const bool squares = c.plain && c.columns.to == c.to_size && c.rows.from == c.to_size;
  const int64_t high = squares ? std::min(kTile, kTileBytes / c.to_size) : kTile;
  const int64_t rows = c.rows.size, blocks = (rows + high - 1) / high, threads = num_threads();
  // If there are fewer strips than threads, divides each strip.
  const int64_t strips = c.plane_count() * blocks, cuts = strips < threads ? threads : 1;
  const int64_t wide = ((c.columns.size + cuts - 1) / cuts + kTile - 1) / kTile * kTile;
  parallel_items(strips * cuts, std::max<int64_t>(1, kPiece / (wide * high)), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t strip = item / cuts, first = strip % blocks * high, height = std::min(high, rows - first);
      const int64_t left = item % cuts * wide, right = std::min(c.columns.size, left + wide);
      char* out = c.out + first * c.rows.to;
      const char* in = c.in + first * c.rows.from;
      enter(c, strip / blocks, out, in);
      for (int64_t j = left; j < right; j += kTile) {
        const int64_t width = std::min(kTile, right - j);
        char* to = out + j * c.columns.to;
        const char* from = in + j * c.columns.from;
        if (squares)
          turn_square(c, to, from, height, width, right - j - width);
        else
          copy_block(c, to, from, height, width);
      }
    }
  });
}

void copy_contiguous(const Tensor& to, const Tensor& from) {
  const auto cast = kernels::table().cast[int(to.dtype())][int(from.dtype())];
  const int64_t to_size = item_size(to.dtype()), from_size = item_size(from.dtype());
  parallel_for(to.numel(), 65536, [&](int64_t begin, int64_t end) {
    char* out = to.bytes() + begin * to_size;
    const char* in = from.bytes() + begin * from_size;
    if (to.dtype() == from.dtype())
      std::memcpy(out, in, size_t((end - begin) * to_size));
    else
      cast(out, to_size, in, from_size, end - begin);
  });
}

}  // namespace

void copy_strided(const Tensor& to, const Tensor& from) {
  if (to.is_meta()) return;
  if (to.is_contiguous() && from.is_contiguous() && to.shape() == from.shape()) return copy_contiguous(to, from);
  const Copy c = plan_copy(to, from);
  const bool transposes =
      c.rows.size > 1 && c.columns.from != c.from_size && c.rows.from > 0 && c.rows.from < c.columns.from;
  transposes ? run_transposed(c) : run_rows(c);
}

}  // namespace flambeau
