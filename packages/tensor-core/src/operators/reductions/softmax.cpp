// Softmax and its logarithm along a dimension.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cuda/operators.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

Dtype working_type(const Tensor& t) { return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32; }

// Note [Converted in the cache]
// Softmax of half precision is computed in float32. Elements are converted, and results are converted back, in pieces
// that stay in the cache.
constexpr int64_t kPieceElements = 4096;       // elements of rows that are converted at a time (first-level cache)
constexpr int64_t kMaxTileElements = 1 << 18;  // maximum elements of a tile wider than kColumns (second-level cache)
constexpr int64_t kColumns = 128;              // columns of a tile; up to 4 times as many if the tile is converted
const auto& table() { return kernels::table(); }

// Converts `rows` rows of `columns` contiguous elements. Consecutive rows are `to_row` and `from_row` bytes apart.
void convert_rows(char* to, Dtype to_type, int64_t to_row, const char* from, Dtype from_type, int64_t from_row,
                  int64_t rows, int64_t columns) {
  const auto cast = table().cast[int(to_type)][int(from_type)];
  // If the rows are adjacent in memory, treat them as one row.
  if (to_row == columns * item_size(to_type) && from_row == columns * item_size(from_type)) {
    columns *= rows;
    rows = std::min<int64_t>(rows, 1);
  }
  for (int64_t i = 0; i < rows; ++i)
    cast(to + i * to_row, item_size(to_type), from + i * from_row, item_size(from_type), columns);
}

Tensor last(const Tensor& t, int64_t dim) { return contiguous(dim + 1 < t.dim() ? transpose(t, dim, -1) : t); }

// Runs kernel(out, operands, count, length) over rows, where the dimension `dim` is moved to the end and back.
template <int count, class F>
Tensor along_last(int64_t dim, Dtype in, const Tensor (&operands)[count], F&& kernel) {
  Tensor rows[count];
  for (int k = 0; k < count; ++k) rows[k] = last(operands[k], dim);
  const Dtype dtype = rows[0].dtype();
  const int64_t length = rows[0].dim() ? rows[0].size(-1) : 1, bytes = length * item_size(dtype);
  const Tensor out = empty(rows[0].shape(), dtype);
  const int64_t height = length && !out.is_meta() ? out.numel() / length : 0;
  parallel_items(height, std::max<int64_t>(1, 8192 / (length + 1)), [&](int64_t begin, int64_t end) {
    const char* from[count];
    if (dtype == in) {
      for (int k = 0; k < count; ++k) from[k] = rows[k].bytes() + begin * bytes;
      return kernel(out.bytes() + begin * bytes, from, end - begin, length);
    }
    const int64_t together = std::clamp<int64_t>(kPieceElements / length, 1, end - begin), room = together * length;
    const Tensor converted = empty({count + 1, room}, in);
    const auto at = [&](int k) { return converted.bytes() + k * room * item_size(in); };
    for (int64_t r = begin; r < end; r += together) {
      const int64_t n = std::min(together, end - r);
      for (int k = 0; k < count; ++k) {
        from[k] = at(k + 1);
        convert_rows(at(k + 1), in, 0, rows[k].bytes() + r * bytes, dtype, 0, 1, n * length);
      }
      kernel(at(0), from, n, length);
      convert_rows(out.bytes() + r * bytes, dtype, 0, at(0), in, 0, 1, n * length);
    }
  });
  return dim + 1 < out.dim() ? contiguous(transpose(out, dim, -1)) : out;
}

// Computes the softmax or its logarithm for long half-precision rows as x - log(sum(e**x)), one piece of a row at a
// time. The sum of a row is the sum of the sums of its pieces.
Tensor long_rows(bool logarithm, const Tensor& t) {
  const int64_t length = t.size(-1), pieces = (length + kPieceElements - 1) / kPieceElements, rows = t.numel() / length;
  const Tensor out = empty(t.shape(), t.dtype()), parts = empty({rows, pieces}, Dtype::float32),
               sums = empty({rows}, Dtype::float32);
  // Converts each piece and calls body(piece, count). Writes the piece back if `write` is set.
  const auto each_piece = [&](bool write, auto&& body) {
    parallel_items(rows * pieces, 1, [&](int64_t begin, int64_t end) {
      alignas(64) float values[kPieceElements];
      auto thread_body = body;  // a copy for this thread, because body has a state
      char* const bytes = reinterpret_cast<char*>(values);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i % pieces * kPieceElements, n = std::min(kPieceElements, length - first),
                      at = (i / pieces * length + first) * item_size(t.dtype());
        convert_rows(bytes, Dtype::float32, 0, t.bytes() + at, t.dtype(), 0, 1, n);
        thread_body(i, bytes, n);
        if (write) convert_rows(out.bytes() + at, t.dtype(), 0, bytes, Dtype::float32, 0, 1, n);
      }
    });
  };
  const auto log_sum_exp = table().logsumexp[0];
  each_piece(false, [&](int64_t i, char* values, int64_t n) {
    log_sum_exp(reinterpret_cast<char*>(parts.data<float>() + i), values, 1, n);
  });
  log_sum_exp(sums.bytes(), parts.bytes(), rows, pieces);
  const auto subtract = table().pointwise[int(op::sub)][int(Compute::f32)];
  const auto exponentiate = table().pointwise[int(op::exp)][int(Compute::f32)];
  each_piece(true, [&, shift = std::vector<float>(), row = int64_t(-1)](int64_t i, char* values, int64_t n) mutable {
    if (row != i / pieces) {
      row = i / pieces;
      const float sum = sums.data<float>()[row];
      shift.assign(kPieceElements, sum == INFINITY ? NAN : sum);  // if the sum is infinite, the result is NaN
    }
    char* const pointers[] = {values, values, reinterpret_cast<char*>(shift.data())};
    subtract(pointers, n);
    if (!logarithm) exponentiate(pointers, n);
  });
  return out;
}

// Computes the softmax along a dimension that is not the last, for a tile of columns at a time. Tiles are copied only
// if their elements must be converted.
Tensor down_columns(kernels::ScanKernel kernel, const Tensor& input, int64_t dim, Dtype in) {
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < input.dim(); ++i) (i < dim ? outer : inner) *= i == dim ? 1 : input.shape()[i];
  const Tensor t = contiguous(input), out = empty(t.shape(), t.dtype());
  if (out.is_meta()) return out;
  const bool converts = t.dtype() != in;
  const int64_t length = t.size(dim), size = item_size(t.dtype());
  const int64_t width = converts ? std::clamp(kMaxTileElements / length / kColumns, int64_t(1), int64_t(4)) * kColumns
                                 : kColumns,
                tiles = (inner + width - 1) / width;
  parallel_items(outer * tiles, std::max<int64_t>(1, 8192 / (length * width)), [&](int64_t begin, int64_t end) {
    const Tensor tile = converts ? empty({length, width}, in) : Tensor();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % tiles * width, at = (i / tiles * length * inner + column) * size;
      const int64_t columns = std::min(width, inner - column), row = columns * item_size(in);
      if (!converts) {
        kernel(out.bytes() + at, t.bytes() + at, length, inner, columns);
        continue;
      }
      convert_rows(tile.bytes(), in, row, t.bytes() + at, t.dtype(), inner * size, length, columns);
      kernel(tile.bytes(), tile.bytes(), length, columns, columns);
      convert_rows(out.bytes() + at, t.dtype(), inner * size, tile.bytes(), in, row, length, columns);
    }
  });
  return out;
}
// Returns true if there are enough columns to fill a vector.
bool has_columns(const Tensor& t, int64_t dim) {
  int64_t inner = 1;
  for (int64_t i = dim + 1; i < t.dim(); ++i) inner *= t.shape()[i];
  return t.numel() > 0 && inner >= 16;
}

Tensor forward(bool logarithm, const Tensor& t, int64_t dim) {
  NoRecording off;
  if (cuda::runs_on_gpu(t)) return cuda::softmax(logarithm, t, dim);
  const Dtype in = working_type(t);
  const bool is_double = in == Dtype::float64;
  if (has_columns(t, dim))
    return down_columns((logarithm ? table().log_softmax_columns : table().softmax_columns)[is_double], t, dim, in);
  if (t.dtype() != in && t.dim() == dim + 1 && t.size(dim) > kPieceElements && t.numel() > 0 && !t.is_meta())
    return long_rows(logarithm, contiguous(t));
  const auto kernel = (logarithm ? table().log_softmax : table().softmax)[is_double];
  return along_last(dim, in, {t}, [&](char* out, const char* const* rows, int64_t count, int64_t length) {
    kernel(out, rows[0], count, length);
  });
}

Tensor backward(bool logarithm, const Tensor& grad, const Tensor& result, int64_t dim) {
  if (cuda::runs_on_gpu(result)) return cuda::softmax_backward(logarithm, grad, result, dim);
  const Dtype in = working_type(result);
  const auto kernel = (logarithm ? table().log_softmax_backward : table().softmax_backward)[in == Dtype::float64];
  return along_last(dim, in, {to(grad, result.dtype()), result},
                    [&](char* out, const char* const* rows, int64_t count, int64_t length) {
                      kernel(out, rows[0], rows[1], count, length);
                    });
}

Tensor prepared(const Tensor& t, std::optional<Dtype> dtype, const char* name) {
  const Tensor x = dtype ? to(t, *dtype) : t;
  require<NotImplementedError>(is_floating(x.dtype()), "\"", name, "\" not implemented for '", x.dtype(),
                               "'; pass dtype= or convert with .float()");
  return x;
}

}  // namespace

Tensor softmax(const Tensor& t, int64_t dim, std::optional<Dtype> dtype) {
  const Tensor x = prepared(t, dtype, "softmax");
  dim = x.wrap_dim(dim);
  Tensor out = forward(false, x, dim);
  if (recording(x))
    record("Softmax", out, {&x}, {&out}, [dim](const Context& c) {
      const Tensor &g = c.gradient(), &y = c.saved(0);
      if (!recording_enabled()) return c.set(0, backward(false, g, y, dim));
      c.set(0, (g - sum(g * y, Shape{dim}, true, std::nullopt)) * y);
    });
  return out;
}

const Operator softmax_operator(
    {.signature = "softmax(input, dim, dtype=None)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Compute exp(input) / sum(exp(input)) along a dimension. Gradient: input, any order.",
     .forward = softmax,
     .reference = "scipy.special.softmax(input, dim)",
     .samples = "f(2, 3), 1; f(2, 3, 2), 0"});

Tensor log_softmax(const Tensor& t, int64_t dim, std::optional<Dtype> dtype) {
  const Tensor x = prepared(t, dtype, "log_softmax");
  dim = x.wrap_dim(dim);
  Tensor out = forward(true, x, dim);
  if (recording(x))
    record("LogSoftmax", out, {&x}, {&out}, [dim](const Context& c) {
      const Tensor &g = c.gradient(), &y = c.saved(0);
      if (!recording_enabled()) return c.set(0, backward(true, g, y, dim));
      c.set(0, g - exp(y) * sum(g, Shape{dim}, true, std::nullopt));
    });
  return out;
}

const Operator log_softmax_operator(
    {.signature = "log_softmax(input, dim, dtype=None)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Compute the logarithm of softmax() without overflow. Gradient: input, any order.",
     .forward = log_softmax,
     .reference = "scipy.special.log_softmax(input, dim)",
     .samples = "f(2, 3), 1; f(2, 3, 2), 0"});

}  // namespace flambeau
