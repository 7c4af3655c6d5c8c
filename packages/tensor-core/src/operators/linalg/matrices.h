// Properties and copies of batches of matrices, for factorizations.
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

template <class T>
inline constexpr bool is_factored = std::is_floating_point_v<T> || is_complex_type<T>;

inline Shape batch_shape(const Tensor& t, int64_t matrix_dims = 2) {
  return Shape(t.shape().begin(), t.shape().end() - matrix_dims);
}

inline Shape joined(Shape batch, std::initializer_list<int64_t> rest) {
  for (int64_t n : rest) batch.push_back(n);
  return batch;
}

inline void require_matrices(const char* function, const Tensor& a) {
  require<NotImplementedError>(is_inexact(a.dtype()) && item_size(to_real(a.dtype())) >= 4, "\"", function,
                               "\" not implemented for '", a.dtype(), "'");
  require(a.dim() >= 2, function, ": expected matrices, got shape ", a.shape());
}

inline void require_square(const char* function, const Tensor& a) {
  require_matrices(function, a);
  require(a.size(-1) == a.size(-2), function, ": expected square matrices, got shape ", a.shape());
}

// Checks that the shapes of A and B fit the equation A X = B.
inline void require_system(const char* function, const Tensor& a, const Tensor& b) {
  require_square(function, a);
  require_matrices(function, b);
  require(a.dtype() == b.dtype(), function, ": expected matrices of the same dtype, got ", a.dtype(), " and ",
          b.dtype());
  require(a.size(-1) == b.size(-2), function, ": matrices ", a.shape(), " and right-hand sides ", b.shape(),
          " do not match");
}

inline void require_pivots(const char* function, const Tensor& pivots) {
  require(pivots.dtype() == Dtype::int32 && pivots.dim() >= 1, function, ": expected pivots of int32, got shape ",
          pivots.shape(), " of ", pivots.dtype());
}

}  // namespace flambeau
