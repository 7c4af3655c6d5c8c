// Layouts of tensors, and functions that read blocks of elements into buffers and write them back. The pointwise
// operators use them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "flambeau/operators.h"
#include "kernels/table.h"

namespace flambeau {

constexpr int64_t kSlack = kernels::kRowSlack;  // number of bytes after the end of a buffer that kernels may also write

// Returns the dtype in which a kernel for elements of the dtype `in` accepts numbers: float32 for half precision.
inline Dtype number_type(Dtype in) { return is_floating(in) ? dtype_of(compute_type(in)) : in; }

inline void fill_block(char* to, Scalar value, Dtype dtype, int64_t n) {
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T v = value.to<T>();
    std::fill_n(reinterpret_cast<T*>(to), n, v);
  });
}

// Layout of a tensor in the memory order of the output. Adjacent dimensions are merged if their elements are evenly
// spaced in memory. Strides are in bytes.
struct OperandLayout {
  char* base;
  Dtype dtype;
  int last;
  int64_t size[kMaxDims], stride[kMaxDims];

  int64_t row() const { return size[last]; }
  int64_t step() const { return stride[last]; }
  bool is_constant() const { return last == 0 && stride[0] == 0; }
  // Returns the number of elements after which the tensor repeats, or 0 if it does not repeat.
  int64_t period() const {
    int64_t elements = last > 0 && stride[0] == 0;
    for (int d = 1; d <= last; ++d) elements *= size[d];
    return elements;
  }
};

inline void describe_layout(OperandLayout& layout, const Tensor& t, const Shape& shape, const Shape& order) {
  layout.base = t.bytes();
  layout.dtype = t.dtype();
  layout.last = 0;
  layout.size[0] = 1;
  layout.stride[0] = item_size(t.dtype());
  const int64_t shift = int64_t(shape.size() - t.shape().size());
  bool any = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t d = order.empty() ? int64_t(i) : order[i], n = shape[size_t(d)], own = d - shift;
    if (n == 1) continue;
    const bool repeats = own < 0 || t.shape()[size_t(own)] == 1;
    const int64_t step = repeats ? 0 : t.strides()[size_t(own)] * item_size(t.dtype());
    if (any && layout.step() == step * n)
      layout.size[layout.last] *= n;
    else
      layout.size[layout.last += any] = n;
    layout.stride[layout.last] = step;
    any = true;
  }
}

struct Cursor {
  const OperandLayout* layout;
  char* at;
  int64_t position[kMaxDims];

  void start(const OperandLayout& over, int64_t element) { start(over, over.base, element); }
  void start(const OperandLayout& over, char* base, int64_t element) {
    layout = &over;
    at = base;
    for (int d = over.last; d >= 0; --d) {
      position[d] = element % over.size[d];
      at += position[d] * over.stride[d];
      element /= over.size[d];
    }
  }
  int64_t left() const { return layout->row() - position[layout->last]; }  // elements that remain in the row
  void advance(int64_t n) { move(layout->last, n); }                       // n must be at most left()
  void move(int d, int64_t n) {
    position[d] += n;
    at += n * layout->stride[d];
    for (; d > 0 && position[d] == layout->size[d]; --d) {
      position[d] = 0;
      at += layout->stride[d - 1] - layout->size[d] * layout->stride[d];
      ++position[d - 1];
    }
  }
};

// `count` rows of `length` elements. `at` is the first element. `row_stride` and `step` are the distances in bytes
// between rows and between elements. `done` elements precede the rows.
struct PlaneRows {
  char* at;
  int64_t row_stride, step, count, length, done;
};

// Divides the next n elements into groups of rows and calls copy(PlaneRows) for each group. If all rows of a group have
// the same memory (stride 0), passes only the first row to `copy` and then calls repeat(done, length, count), where
// `count` is the number of rows in the group.
template <class F, class R>
FLAMBEAU_INLINE void each_row(Cursor& cursor, int64_t n, F&& copy, R&& repeat) {
  const OperandLayout& layout = *cursor.layout;
  const int last = layout.last;
  for (int64_t done = 0; done < n;) {
    if (last > 0 && cursor.position[last] == 0 && n - done >= layout.row()) {
      const int64_t rows = std::min(layout.size[last - 1] - cursor.position[last - 1], (n - done) / layout.row());
      const int64_t row_stride = layout.stride[last - 1], distinct = row_stride == 0 ? 1 : rows;
      copy(PlaneRows{cursor.at, row_stride, layout.step(), distinct, layout.row(), done});
      if (distinct < rows) repeat(done, layout.row(), rows);
      cursor.move(last - 1, rows);
      done += rows * layout.row();
    } else {
      const int64_t m = std::min(n - done, cursor.left());
      copy(PlaneRows{cursor.at, 0, layout.step(), 1, m, done});
      cursor.advance(m);
      done += m;
    }
  }
}

// Number of bytes that are copied at a time for short rows. The last chunk may extend beyond the end of the row.
constexpr int64_t kChunk = kSlack / 2;

// Fills `rows` rows with copies of the first one. Chunks that extend beyond a short row may overlap the bytes that they
// copy.
FLAMBEAU_INLINE void repeat_row(char* first, int64_t bytes, int64_t rows) {
  for (char* to = first + bytes; --rows > 0; to += bytes)
    for (int64_t b = 0; b < bytes; b += kChunk) {
      char chunk[kChunk];
      std::memcpy(chunk, first + b, kChunk);
      std::memcpy(to + b, chunk, kChunk);
    }
}

// Returns the next n elements as a contiguous array of `dtype`: the elements themselves if possible, otherwise a copy
// in `buffer`.
inline char* fetch(Cursor& cursor, int64_t n, char* buffer, Dtype dtype) {
  const OperandLayout& layout = *cursor.layout;
  const int64_t item = item_size(dtype);
  const bool same = layout.dtype == dtype;
  if (same && layout.step() == item && n <= cursor.left()) {
    char* at = cursor.at;
    cursor.advance(n);
    return at;
  }
  const auto repeat = [&](int64_t done, int64_t m, int64_t rows) { repeat_row(buffer + done * item, m * item, rows); };
  if (same && item <= 8)
    each_row(
        cursor, n,
        [&, copy_rows = kernels::table().copy_rows[std::countr_zero(uint64_t(item))]](const PlaneRows& rows) {
          copy_rows(buffer + rows.done * item, rows.at, rows.row_stride, rows.step, rows.length, rows.count);
        },
        repeat);
  else
    each_row(
        cursor, n,
        [&, cast = kernels::table().cast[int(dtype)][int(layout.dtype)]](const PlaneRows& rows) {
          for (int64_t r = 0; r < rows.count; ++r)
            cast(buffer + (rows.done + r * rows.length) * item, item, rows.at + r * rows.row_stride, rows.step,
                 rows.length);
        },
        repeat);
  return buffer;
}

inline void put(Cursor& cursor, int64_t n, const char* buffer, Dtype dtype) {
  const int64_t item = item_size(dtype);
  each_row(
      cursor, n,
      [&, cast = kernels::table().cast[int(cursor.layout->dtype)][int(dtype)]](const PlaneRows& rows) {
        for (int64_t r = 0; r < rows.count; ++r)
          cast(rows.at + r * rows.row_stride, rows.step, buffer + (rows.done + r * rows.length) * item, item,
               rows.length);
      },
      [](int64_t, int64_t, int64_t) {});
}

}  // namespace flambeau
