// Softmax and its logarithm along a dimension.
#include "cuda/operators.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

// Runs a kernel over rows: the dimension is brought last, made contiguous, and put back.
template <class F>
Tensor along_last(const Tensor& shape_of, int64_t dim, Dtype in, F&& kernel) {
  const int64_t length = shape_of.dim() ? shape_of.size(dim) : 1;
  Shape shape = shape_of.shape();
  if (shape_of.dim()) std::swap(shape[dim], shape[shape.size() - 1]);
  Tensor out = empty(shape, in);
  const int64_t rows = length && !out.is_meta() ? out.numel() / length : 0;
  parallel_items(rows, std::max<int64_t>(1, 8192 / (length + 1)), [&](int64_t begin, int64_t end) {
    kernel(out.bytes() + begin * length * item_size(in), begin * length * item_size(in), end - begin, length);
  });
  return dim + 1 < shape_of.dim() ? contiguous(transpose(out, dim, -1)) : out;
}

Tensor last(const Tensor& t, int64_t dim, Dtype in) {
  return contiguous(to(dim + 1 < t.dim() ? transpose(t, dim, -1) : t, in));
}

Dtype working_type(const Tensor& t) { return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32; }

// A dimension before others: its columns where they lie, a number of them for each thread.
Tensor down_columns(kernels::ScanKernel kernel, const Tensor& t, int64_t dim, Dtype in) {
  constexpr int64_t kColumns = 128;
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < t.dim(); ++i) (i < dim ? outer : inner) *= i == dim ? 1 : t.shape()[i];
  const int64_t length = t.size(dim), size = item_size(in), tiles = (inner + kColumns - 1) / kColumns;
  const Tensor x = contiguous(to(t, in)), out = empty(t.shape(), in);
  if (out.is_meta()) return out;
  parallel_items(outer * tiles, std::max<int64_t>(1, 8192 / (length * kColumns)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % tiles * kColumns, at = (i / tiles * length * inner + column) * size;
      kernel(out.bytes() + at, x.bytes() + at, length, inner, std::min(kColumns, inner - column));
    }
  });
  return out;
}
// Whether columns are so many that they fill vectors.
bool has_columns(const Tensor& t, int64_t dim) {
  int64_t inner = 1;
  for (int64_t i = dim + 1; i < t.dim(); ++i) inner *= t.shape()[i];
  return t.numel() > 0 && inner >= 16;
}

Tensor forward(bool logarithm, const Tensor& t, int64_t dim) {
  NoRecording off;
  if (cuda::takes(t)) return cuda::softmax(logarithm, t, dim);
  const auto& table = kernels::table();
  const auto& rows_kernel = logarithm ? table.log_softmax : table.softmax;
  const auto& columns_kernel = logarithm ? table.log_softmax_columns : table.softmax_columns;
  const Dtype in = working_type(t);
  if (has_columns(t, dim)) return to(down_columns(columns_kernel[in == Dtype::float64], t, dim, in), t.dtype());
  const Tensor rows = last(t, dim, in);
  return to(along_last(t, dim, in,
                       [&](char* out, int64_t at, int64_t count, int64_t length) {
                         rows_kernel[in == Dtype::float64](out, rows.bytes() + at, count, length);
                       }),
            t.dtype());
}

Tensor backward(bool logarithm, const Tensor& grad, const Tensor& result, int64_t dim) {
  if (cuda::takes(result)) return cuda::softmax_backward(logarithm, grad, result, dim);
  const auto& kernel = logarithm ? kernels::table().log_softmax_backward : kernels::table().softmax_backward;
  const Dtype in = working_type(result);
  const Tensor g = last(grad, dim, in), r = last(result, dim, in);
  return to(along_last(result, dim, in,
                       [&](char* out, int64_t at, int64_t count, int64_t length) {
                         kernel[in == Dtype::float64](out, g.bytes() + at, r.bytes() + at, count, length);
                       }),
            result.dtype());
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

}  // namespace flambeau
