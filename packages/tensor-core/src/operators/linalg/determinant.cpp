// Determinants and permutations, computed from LU factors and their pivots.
#include <cmath>

#include "cuda/linalg/elimination.h"
#include "flambeau/operator.h"
#include "flambeau/operators/factorization.h"
#include "operators/linalg/matrices.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

template <class T>
auto modulus(T v) {
  if constexpr (is_complex_type<T>)
    return std::hypot(v.re, v.im);
  else
    return std::fabs(v);
}

// Calls body(element) for each element on the diagonal of U, for one matrix of the batch. Returns the sign of the
// matrix's permutation.
template <class T, class F>
int each_pivot(const Tensor& lu, const Tensor& pivots, int64_t matrix, F&& body) {
  const int64_t n = lu.size(-1);
  const T* u = lu.data<T>() + matrix * n * n;
  const int32_t* p = pivots.data<int32_t>() + matrix * n;
  int sign = 1;
  for (int64_t k = 0; k < n; ++k) {
    if (p[k] != k + 1) sign = -sign;
    body(u[k * n + k]);
  }
  return sign;
}

// The diagonal of U and the sign of the permutation, in the same dtype, as tensors on a GPU.
struct Pivots {
  Tensor diagonal, sign;
  Pivots(const Tensor& lu, const Tensor& pivots) : diagonal(contiguous(flambeau::diagonal(lu, 0, -2, -1))) {
    const int64_t n = lu.size(-1);
    const Tensor exchanged = ne(pivots, arange(Scalar(1), Scalar(n + 1), Scalar(1), Dtype::int32));
    const Tensor odd = remainder(sum(exchanged, Shape{-1}, false, Dtype::int64), Scalar(2));
    sign = to(Scalar(1) - odd * Scalar(2), lu.dtype());
  }
};

Tensor square_factors(const char* function, const Tensor& lu) {
  require_square(function, lu);
  return contiguous(lu);
}

// Checks that each row has a pivot.
Tensor pivots_of(const char* function, const Tensor& lu, const Tensor& pivots) {
  require_pivots(function, pivots);
  require(pivots.shape() == joined(batch_shape(lu), {lu.size(-1)}), function, ": expected ", lu.size(-1),
          " pivots for each matrix of ", lu.shape(), ", got shape ", pivots.shape());
  return contiguous(pivots);
}

}  // namespace

Tensor lu_determinant(const Tensor& given, const Tensor& given_pivots) {
  NoRecording off;
  const Tensor lu = square_factors("lu_determinant", given), pivots = pivots_of("lu_determinant", lu, given_pivots);
  if (cuda::runs_on_gpu(lu)) {
    const Pivots p(lu, pivots);
    return prod(p.diagonal, Shape{-1}, false, std::nullopt) * p.sign;
  }
  const Tensor out = empty(batch_shape(lu), lu.dtype());
  dispatch_all(lu.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (is_factored<T>)
      for (int64_t i = 0; i < out.numel(); ++i) {
        T value(1);
        const int sign = each_pivot<T>(lu, pivots, i, [&](T u) { value *= u; });
        out.data<T>()[i] = sign < 0 ? -value : value;
      }
  });
  return out;
}

const Operator _lu_determinant_operator({.signature = "_lu_determinant(lu, pivots)",
                                         .forms = kPrivate,
                                         .doc = "Compute the determinant from the LU factors.",
                                         .forward = lu_determinant});

LogDeterminant lu_log_determinant(const Tensor& given, const Tensor& given_pivots) {
  NoRecording off;
  const Tensor lu = square_factors("lu_determinant", given), pivots = pivots_of("lu_determinant", lu, given_pivots);
  if (cuda::runs_on_gpu(lu)) {
    const Pivots p(lu, pivots);
    const Tensor sizes = abs(p.diagonal), directions = prod(sgn(p.diagonal), Shape{-1}, false, std::nullopt);
    return {directions * p.sign, sum(log(sizes), Shape{-1}, false, std::nullopt)};
  }
  const Tensor sign = empty(batch_shape(lu), lu.dtype()), logarithm = empty(batch_shape(lu), to_real(lu.dtype()));
  dispatch_all(lu.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (is_factored<T>)
      for (int64_t i = 0; i < sign.numel(); ++i) {
        T direction(1);
        auto total = modulus(T(1)) - 1;
        const int parity = each_pivot<T>(lu, pivots, i, [&](T u) {
          const auto size = modulus(u);
          direction *= size == 0 ? T(0) : u / T(size);
          total += std::log(size);
        });

        sign.data<T>()[i] = parity < 0 ? -direction : direction;
        logarithm.data<decltype(total)>()[i] = total;
      }
  });
  return {sign, logarithm};
}

Tensor lu_permutation(const Tensor& pivots, int64_t rows) {
  NoRecording off;
  require_pivots("lu_permutation", pivots);
  require(rows >= 0, "lu_permutation: the rows must not be negative, got ", rows);
  const Tensor steps = contiguous(pivots), order = empty(joined(batch_shape(pivots, 1), {rows}), Dtype::int64);
  if (cuda::runs_on_gpu(order)) {
    cuda::order_of_rows(order, steps);
    return order;
  }
  const int64_t k = steps.size(-1), count = product(batch_shape(pivots, 1));
  for (int64_t i = 0; i < count; ++i) {
    int64_t* o = order.data<int64_t>() + i * rows;
    for (int64_t j = 0; j < rows; ++j) o[j] = j;
    for (int64_t j = 0; j < std::min(k, rows); ++j) {
      const int64_t other = steps.data<int32_t>()[i * k + j] - 1;
      require(other >= 0 && other < rows, "pivots must be between 1 and ", rows, ", got ", other + 1);
      std::swap(o[j], o[other]);
    }
  }
  return order;
}

const Operator _lu_log_determinant_operator(
    {.signature = "_lu_log_determinant(lu, pivots)",
     .forms = kPrivate,
     .doc = "Compute the sign and the logarithm of the absolute value of the determinant.",
     .forward = [](const Tensor& lu, const Tensor& pivots) {
       LogDeterminant d = lu_log_determinant(lu, pivots);
       return Tensors{d.sign, d.logarithm};
     }});

}  // namespace flambeau
