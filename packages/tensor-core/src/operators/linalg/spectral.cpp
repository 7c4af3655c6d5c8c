// Eigenvalues and singular values of batches of small matrices, by Jacobi rotations.
#include <algorithm>
#include <cmath>

#include "flambeau/operators/factorization.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"
#include "operators/linalg/matrices.h"

namespace flambeau {

namespace {

const kernels::Jacobi& kernels_of(Dtype dtype) {
  return kernels::table().jacobi[int(compute_type(dtype)) - int(Compute::f32)];
}

struct Sizes {
  Shape batch;
  int64_t count, m, n;

  explicit Sizes(const Tensor& a)
      : batch(a.shape().begin(), a.shape().end() - 2), count(product(batch)), m(a.size(-2)), n(a.size(-1)) {}
  Shape with(std::initializer_list<int64_t> rest) const {
    Shape shape = batch;
    for (int64_t size : rest) shape.push_back(size);
    return shape;
  }
};

template <class F>
void for_each_matrix(const Sizes& s, F&& body) {
  const int64_t size = std::max(s.m, s.n), work = 20 * size * size * size + 20;
  parallel_items(s.count, std::max<int64_t>(1, 100000 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

bool finite(const Tensor& values, int64_t i, int64_t k) {
  for (int64_t j = i * k; j < (i + 1) * k; ++j)
    if (!std::isfinite(values.dtype() == Dtype::float64 ? values.data<double>()[j] : double(values.data<float>()[j])))
      return false;
  return true;
}

}  // namespace

Eigen eigen_hermitian(const Tensor& a, bool upper, bool vectors) {
  NoRecording off;
  require_square("eigen_hermitian", a);
  const Sizes s(a);
  const Tensor whole = empty(a.shape(), a.dtype());
  copy_values(whole, a);
  const Tensor values = empty(s.with({s.n}), to_real(a.dtype()));
  const Tensor rows = vectors ? empty(whole.shape(), a.dtype()) : Tensor();
  const int64_t step = s.n * s.n * item_size(a.dtype()), value_step = s.n * item_size(values.dtype());
  for_each_matrix(s, [&](int64_t i) {
    kernels_of(a.dtype()).eigen(s.n, upper, whole.bytes() + i * step, values.bytes() + i * value_step,
                                vectors ? rows.bytes() + i * step : nullptr);
  });
  return {values, vectors ? transpose(rows, -2, -1) : Tensor()};
}

SingularValues singular_values(const Tensor& a, bool full, bool vectors) {
  NoRecording off;
  require_matrices("singular_values", a);
  const Sizes s(a);
  const bool wide = s.m < s.n;  // a wide matrix is replaced by A^H, so that it has at least as many rows as columns
  const int64_t k = std::min(s.m, s.n), length = std::max(s.m, s.n), rows = full ? length : k;
  const Tensor w = empty(s.with({rows, length}), a.dtype()), v = empty(s.with({k, k}), a.dtype()),
               values = empty(s.with({k}), to_real(a.dtype())), info = zeros(s.batch, Dtype::int32);
  copy_values(narrow(w, -2, 0, k), wide ? conj(a) : transpose(a, -2, -1));
  const int64_t size = item_size(a.dtype()), value_size = item_size(values.dtype());
  for_each_matrix(s, [&](int64_t i) {
    kernels_of(a.dtype()).singular(k, length, rows, w.bytes() + i * rows * length * size,
                                   vectors ? v.bytes() + i * k * k * size : nullptr,
                                   values.bytes() + i * k * value_size);
    info.data<int32_t>()[i] = !finite(values, i, k);
  });
  if (!vectors) return {Tensor(), values, Tensor(), info};
  const Tensor left = transpose(wide ? v : w, -2, -1), right = conj(wide ? w : v);
  return {left, values, right, info};
}

}  // namespace flambeau
