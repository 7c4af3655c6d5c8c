// embedding_renorm_: limits the norm of the rows of a table.
#include <cmath>

#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/pointwise/selection.h"
#include "operators/indexing/indexing.h"

namespace flambeau {

namespace {

template <class T>
double norm_of(const T* row, int64_t n, int64_t stride, double p) {
  double sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double x = std::fabs(convert<double>(row[j * stride]));
    if (std::isinf(p))
      sum = x > sum || x != x ? x : sum;
    else
      sum += p == 2 ? x * x : p == 1 ? x : std::pow(x, p);
  }
  return p == 2 ? std::sqrt(sum) : p == 1 || std::isinf(p) ? sum : std::pow(sum, 1 / p);
}

// Limits the norms of rows on a GPU. If `rows` contains an index several times, the same values are written to its row
// several times.
Tensor renorm_on_gpu(const Tensor& weight, const Tensor& rows, double max_norm, double p) {
  NoRecording off;
  const Tensor index = reshape(rows, {rows.numel()}), values = to(index_select(weight, 0, index), Dtype::float64);
  const Tensor length = vector_norm(values, p, Shape{1}, true);
  const Tensor factor = _norm_limit(length, Scalar(max_norm));
  index_copy(weight, 0, index, to(values * factor, weight.dtype()), Write::InPlace);
  return weight;
}

}  // namespace

Tensor embedding_renorm_(const Tensor& weight, const Tensor& indices, double max_norm, double p) {
  require(weight.dim() == 2, "embedding_renorm_: the weight must be a matrix, got shape ", weight.shape());
  require<NotImplementedError>(is_floating(weight.dtype()), "\"embedding_renorm_\" not implemented for '",
                               weight.dtype(), "'");
  require(p > 0, "embedding_renorm_: norm_type must be positive, got ", p);
  const Tensor rows = contiguous(index_tensor(indices, "embedding_renorm_"));
  check_range<IndexError>(rows, weight.size(0), NegativeIndex::Rejected, "embedding_renorm_", 0);
  begin_inplace(weight, "embedding_renorm_");
  if (cuda::runs_on_gpu(weight)) return renorm_on_gpu(weight, rows, max_norm, p);
  dispatch(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T> || is_complex_type<T>) return;
    const int64_t n = weight.size(1), step = weight.strides()[1];
    for (int64_t i = 0; i < rows.numel(); ++i) {
      T* row = weight.data<T>() + rows.data<int64_t>()[i] * weight.strides()[0];
      const double length = norm_of(row, n, step, p);
      if (!(length > max_norm)) continue;
      const double factor = max_norm / (length + 1e-7);
      for (int64_t j = 0; j < n; ++j) row[j * step] = convert<T>(convert<double>(row[j * step]) * factor);
    }
  });
  return weight;
}

const Operator embedding_renorm__operator(
    {.signature = "embedding_renorm_(input, indices, max_norm, norm_type)",
     .forms = kFunction,
     .doc =
         R"(Scale rows of input in place, so that their norm is at most max_norm. Not differentiable.

Args:
    input: floating tensor of shape (rows, width).
    indices: int32 or int64 tensor with the indices of the rows to scale.
    max_norm: largest norm of a row after scaling.
    norm_type: order of the norm.
Raises: IndexError for an index outside input.)",
     .forward = embedding_renorm_});

}  // namespace flambeau
