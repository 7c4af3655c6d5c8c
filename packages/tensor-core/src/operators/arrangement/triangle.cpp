// Triangular parts of matrices, and their indices.
#include <cstring>

#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

// Keeps, in each row r of every matrix, the columns [0, r + diagonal] if `lower`, otherwise [r + diagonal, end). The
// other elements of the result are 0.
Tensor triangle(const Tensor& t, int64_t diagonal, bool lower) {
  require(t.dim() >= 2, lower ? "tril" : "triu", ": input tensor must have at least 2 dimensions, got shape ",
          t.shape());
  Tensor out;
  if (cuda::runs_on_gpu(t)) {
    NoRecording off;
    const int64_t limit = std::clamp(diagonal, -t.size(-1) - t.size(-2), t.size(-1) + t.size(-2));
    const Tensor row = arange(Scalar(limit), Scalar(limit + t.size(-2)), Scalar(1), Dtype::int64),
                 column = arange(Scalar(0), Scalar(t.size(-1)), Scalar(1), Dtype::int64);
    const Tensor kept = lower ? le(column, unsqueeze(row, 1)) : ge(column, unsqueeze(row, 1));
    out = where(kept, t, zeros({}, t.dtype()));
  } else {
    NoRecording off;
    const Tensor from = contiguous(t);
    out = empty(t.shape(), t.dtype());
    const int64_t rows = t.size(-2), columns = t.size(-1), item = item_size(t.dtype()), width = columns * item;
    const int64_t total = columns && !out.is_meta() ? t.numel() / columns : 0;
    parallel_items(total, std::max<int64_t>(1, 65536 / (width + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t limit = std::clamp(diagonal, -columns - rows, columns + rows);
        const int64_t cut = std::clamp<int64_t>(r % rows + limit + lower, 0, columns) * item;
        char* to = out.bytes() + r * width;
        const int64_t first = lower ? 0 : cut, last = lower ? cut : width;
        std::memset(to, 0, size_t(first));
        std::memcpy(to + first, from.bytes() + r * width + first, size_t(last - first));
        std::memset(to + last, 0, size_t(width - last));
      }
    });
  }
  if (recording(t))
    record(lower ? "Tril" : "Triu", out, {&t}, {},
           [diagonal, lower](const Context& c) { c.set(0, triangle(c.gradient(), diagonal, lower)); });
  return out;
}

}  // namespace

Tensor tril(const Tensor& t, int64_t diagonal) { return triangle(t, diagonal, true); }

const Operator tril_operator({.signature = "tril(input, diagonal=0)",
                              .forms = kFunction | kMethod | kOut | kExactOut | kInPlace,
                              .doc = "Return a copy of the lower triangle, with zeros above it. Gradient: input.",
                              .forward = tril,
                              .reference = "np.tril(input, diagonal)",
                              .samples = "f(3, 4); f(3, 4), 1; i(2, 3, 3), -1"});

Tensor triu(const Tensor& t, int64_t diagonal) { return triangle(t, diagonal, false); }

const Operator triu_operator({.signature = "triu(input, diagonal=0)",
                              .forms = kFunction | kMethod | kOut | kExactOut | kInPlace,
                              .doc = "Return a copy of the upper triangle, with zeros below it. Gradient: input.",
                              .forward = triu,
                              .reference = "np.triu(input, diagonal)",
                              .samples = "f(3, 4); f(3, 4), 1; i(2, 3, 3), -1"});

Tensor triangle_indices(int64_t rows, int64_t columns, int64_t diagonal, bool lower, Dtype dtype) {
  const char* name = lower ? "tril_indices" : "triu_indices";
  require(rows >= 0, name, ": row must be non-negative, got ", rows);
  require(columns >= 0, name, ": col must be non-negative, got ", columns);
  require(category(dtype) == Category::Integer && item_size(dtype) >= 4, "\"", name, "\" not implemented for '", dtype,
          "'");
  const Device device = OnDevice::current();
  const OnDevice cpu(DeviceType::Cpu);  // on the CPU, because the number of results depends on the mask
  const Tensor whole = ones({rows, columns}, Dtype::bool_);
  return to(to(transpose(nonzero(triangle(whole, diagonal, lower)), 0, 1), dtype), device);
}

}  // namespace flambeau
