// Views and products of batches of matrices (count, rows, columns), for factorizations.
#pragma once

#include <algorithm>

#include "cuda/operators.h"
#include "cuda/runtime/launch.h"
#include "cuda/views.h"
#include "device/linalg/matrices.h"

namespace flambeau::cuda {

inline Matrices matrices(const Tensor& t) { return {t.device_bytes(), t.stride(0), t.stride(1), t.stride(2)}; }
inline int32_t* integers(const Tensor& t) { return reinterpret_cast<int32_t*>(t.device_bytes()); }
inline Tensor part(const Tensor& t, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  return narrowed(narrowed(t, 1, row, rows), 2, column, columns);
}
inline Tensor adjoint(const Tensor& t) { return transposed(conjugate(t), 1, 2); }

// Returns a grid with one block for every `each` columns of a matrix, and a second dimension for the matrices. If there
// are too many matrices for the grid, each block has to loop over several matrices.
inline Grid column_grid(int64_t columns, int64_t each, int64_t count) {
  constexpr int64_t kMaxY = 65535;
  return {unsigned(divide_up(columns, each)), unsigned(std::min(count, kMaxY))};
}

inline Tensor product_of(const Tensor& a, const Tensor& b) {
  const Tensor product = empty({a.size(0), a.size(1), b.size(2)}, a.dtype());
  multiply(product, a, b);
  return product;
}
// Computes c -= a b.
inline void subtract_product(const Tensor& c, const Tensor& a, const Tensor& b) {
  if (c.numel() == 0 || a.size(2) == 0) return;
  subtract(c, c, product_of(a, b));
}

}  // namespace flambeau::cuda
