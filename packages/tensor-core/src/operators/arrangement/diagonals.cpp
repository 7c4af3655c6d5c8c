// Matrices from diagonals, diagonals of matrices as copies, and the trace.
#include <algorithm>
#include <cstdlib>

#include "flambeau/operator.h"

namespace flambeau {

Tensor diag_embed(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2) {
  const int dims = t.dim() + 1;
  dim1 = Tensor::wrap_dim(dim1, dims);
  dim2 = Tensor::wrap_dim(dim2, dims);
  require(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  require(t.dim() > 0, "diag_embed: the input must have at least one dimension");
  const int64_t size = t.size(-1) + std::abs(offset);
  Shape shape(t.shape().begin(), t.shape().end() - 1);
  shape.insert(size_t(std::min(dim1, dim2)), size);
  shape.insert(size_t(std::max(dim1, dim2)), size);
  const Tensor out = zeros(shape, t.dtype());
  copy_values(diagonal(out, offset, dim1, dim2), t);
  if (recording(t))
    record("DiagEmbed", out, {&t}, {},
           [offset, dim1, dim2](const Context& c) { c.set(0, diagonal(c.gradient(), offset, dim1, dim2)); });

  return out;
}

const Operator diag_embed_operator(
    {.signature = "diag_embed(input, offset=0, dim1=-2, dim2=-1)",
     .forms = kFunction | kMethod,
     .doc = "Create matrices with the last dimension as a diagonal and zeros elsewhere. Gradient: input.",
     .forward = diag_embed,
     .reference = "np.array([np.diag(row, offset) for row in input]) if input.ndim == 2 else np.diag(input, offset)",
     .samples = "f(3); f(2, 3); f(2, 3), 1"});

const Operator diagflat_operator(
    {.signature = "diagflat(input, offset=0)",
     .forms = kFunction | kMethod,
     .doc = "Create a matrix with all elements of the input as its diagonal.",
     .forward = [](const Tensor& t, int64_t offset) { return diag_embed(reshape(t, {t.numel()}), offset, 0, 1); },
     .reference = "np.diagflat(input, offset)",
     .samples = "f(2, 2); f(3), 1"});

const Operator diag_operator(
    {.signature = "diag(input, diagonal=0)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Return a copy of the diagonal of a matrix or, for a vector, a matrix with this diagonal.",
     .forward =
         [](const Tensor& t, int64_t diagonal) {
           require(t.dim() == 1 || t.dim() == 2, "diag(): Supports 1D or 2D tensors. Got ", t.dim(), "D");
           return t.dim() == 1 ? diag_embed(t, diagonal, 0, 1) : clone(flambeau::diagonal(t, diagonal, 0, 1));
         },
     .reference = "np.diag(input, diagonal)",
     .samples = "f(3); f(3, 4); f(3), -1; f(3, 4), 1"});

const Operator trace_operator({.signature = "trace(input)",
                               .forms = kFunction | kMethod | kFloat32,
                               .doc = "Compute the sum of the diagonal of a matrix.",
                               .forward =
                                   [](const Tensor& t) {
                                     require(t.dim() == 2, "trace: expected a matrix, but got a tensor of shape ",
                                             t.shape());
                                     return sum(diagonal(t, 0, 0, 1), {}, false, {});
                                   },
                               .reference = "np.trace(input)",
                               .samples = "f(3, 4); i(3, 3)"});

}  // namespace flambeau
