// LU, Cholesky and QR factorizations, and triangular systems, for batches of matrices, which threads share. Each matrix
// is factored as in Note [Blocked factorizations] in operators/linalg/blocked_factorization.h
#include "flambeau/operators/factorization.h"

#include <cstring>

#include "cuda/linalg/elimination.h"
#include "operators/linalg/blocked_factorization.h"
#include "operators/linalg/matrices.h"

namespace flambeau {

namespace {

using blocked::Block;
using kernels::Triangle;

// The matrices of a batch, which are contiguous in memory.
struct Batch {
  Tensor tensor;
  int64_t count, m, n;

  explicit Batch(const Tensor& t) : tensor(t), m(t.size(-2)), n(t.size(-1)) {
    count = 1;
    for (int i = 0; i < t.dim() - 2; ++i) count *= t.shape()[i];
  }
  Tensor matrices() const { return view(tensor, {count, m, n}); }
  Block operator[](int64_t i) const {
    return {tensor.bytes() + i * m * n * item_size(tensor.dtype()), n, tensor.dtype()};
  }
};

// Returns a contiguous copy.
Tensor copy_of(const Tensor& t) {
  Tensor out = empty(t.shape(), t.dtype());
  copy_values(out, t);
  return out;
}

template <class F>
void for_each_matrix(int64_t count, double work, F&& body) {  // work: multiply-adds for each matrix
  parallel_items(count, std::max<int64_t>(1, int64_t(50000 / (work + 50))), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

double cube(int64_t n) { return double(n) * double(n) * double(n); }

// The triangular matrix for each matrix of B. If A is a single matrix, it is used for all matrices of B.
struct Triangles {
  Tensor tensor;
  bool upper, unit;
  int64_t step;  // distance between the matrices, in elements

  Triangles(const Tensor& a, const Shape& batch, bool upper, bool unit) : tensor(a), upper(upper), unit(unit), step(0) {
    if (a.dim() == 2) return;
    tensor = reshape(expand(a, joined(batch, {a.size(-2), a.size(-1)})), {product(batch), a.size(-2), a.size(-1)});
    step = tensor.strides()[0];
  }
  Triangle operator[](int64_t i) const {
    return {tensor.bytes() + i * step * item_size(tensor.dtype()), tensor.stride(-2), tensor.stride(-1), upper, unit};
  }
};

void solve_into(const Tensor& a, const Batch& b, bool upper, bool unit) {
  if (b.tensor.numel() == 0) return;
  const Triangles triangles(a, batch_shape(b.tensor), upper, unit);
  if (cuda::runs_on_gpu(b.tensor)) {
    const Tensor& one = triangles.tensor;
    return cuda::solve_triangles(one.dim() == 2 ? expand(one, {b.count, b.m, b.m}) : one, b.matrices(), upper, unit);
  }
  const double work = double(b.m) * double(b.m);
  for_each_matrix(b.count, work * double(b.n), [&](int64_t i) {
    blocked::over_columns(b.n, work, [&](int64_t begin, int64_t end) {
      blocked::solve(b.m, end - begin, triangles[i], b[i].from(0, begin));
    });
  });
}

void require_in_range(const Tensor& pivots, int64_t rows) {
  const int32_t* p = pivots.data<int32_t>();
  for (int64_t i = 0; i < pivots.numel(); ++i)
    require(p[i] >= 1 && p[i] <= rows, "pivots must be between 1 and ", rows, ", got ", p[i]);
}

// Exchanges rows in the order of the pivots or, if `back`, in the opposite order.
void exchange(const Batch& out, const Tensor& pivots, bool back) {
  if (cuda::runs_on_gpu(pivots)) return cuda::exchange_rows(out.matrices(), pivots, back);
  for_each_matrix(out.count, double(out.m * out.n), [&](int64_t i) {
    const int32_t* p = pivots.data<int32_t>() + i * out.m;
    blocked::over_columns(out.n, double(out.m), [&](int64_t begin, int64_t end) {
      for (int64_t s = 0; s < out.m; ++s) {
        const int64_t k = back ? out.m - 1 - s : s;
        blocked::exchange_rows(out[i], begin, end, k, p[k] - 1);
      }
    });
  });
}

// Returns a copy of B, repeated for every pair of matrices.
Tensor broadcast_copy(const Tensor& a, const Tensor& b) {
  const Shape batch = broadcast(batch_shape(a), batch_shape(b));
  return copy_of(expand(b, joined(batch, {b.size(-2), b.size(-1)})));
}

}  // namespace

LuFactors lu_factor(const Tensor& a) {
  NoRecording off;
  require_matrices("lu_factor", a);
  const Batch batch(copy_of(a));
  const int64_t steps = std::min(batch.m, batch.n);
  const Tensor pivots = empty(joined(batch_shape(a), {steps}), Dtype::int32),
               info = empty(batch_shape(a), Dtype::int32);
  if (cuda::runs_on_gpu(batch.tensor)) {
    cuda::factor_lu(batch.matrices(), pivots, info);
    return {batch.tensor, pivots, info};
  }
  for_each_matrix(batch.count, double(batch.m) * double(batch.n) * double(steps), [&](int64_t i) {
    int32_t* p = pivots.data<int32_t>() + i * steps;
    info.data<int32_t>()[i] = int32_t(blocked::lu(batch.m, batch.n, batch[i], p));
    for (int64_t k = 0; k < steps; ++k) p[k] += 1;
  });
  return {batch.tensor, pivots, info};
}

Tensor lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool adjoint) {
  NoRecording off;
  require_system("lu_solve", lu, b);
  require_pivots("lu_solve", pivots);
  const Batch out(broadcast_copy(lu, b));
  if (out.tensor.numel() == 0) return out.tensor;
  const Tensor order = contiguous(expand(pivots, joined(batch_shape(out.tensor), {out.m})));
  if (!cuda::runs_on_gpu(order)) require_in_range(order, out.m);
  const Tensor factors = adjoint ? transpose(conj(lu), -1, -2) : lu;
  if (!adjoint) exchange(out, order, false);
  solve_into(factors, out, false, !adjoint);  // solution with L or, if `adjoint`, with U^H
  solve_into(factors, out, true, adjoint);    // solution with U or, if `adjoint`, with L^H
  if (adjoint) exchange(out, order, true);
  return out.tensor;
}

Inverse inverse(const Tensor& a) {
  NoRecording off;
  require_square("inverse", a);
  const LuFactors f = lu_factor(a);
  return {lu_solve(f.lu, f.pivots, eye(a.size(-1), a.size(-1), a.dtype()), false), f.info};
}

CholeskyFactor cholesky_factor(const Tensor& a, bool upper) {
  NoRecording off;
  require_square("cholesky_factor", a);
  const Batch batch(copy_of(upper ? a : transpose(conj(a), -1, -2)));
  const Tensor info = empty(batch_shape(a), Dtype::int32);
  Tensor factor = batch.tensor;
  if (cuda::runs_on_gpu(factor)) {
    cuda::factor_cholesky(batch.matrices(), info);
    factor = triu(factor, 0);
  } else {
    const int64_t size = item_size(a.dtype());
    for_each_matrix(batch.count, cube(batch.n) / 3, [&](int64_t i) {
      const Block block = batch[i];
      info.data<int32_t>()[i] = int32_t(blocked::cholesky(batch.n, block));
      for (int64_t k = 1; k < batch.n; ++k) std::memset(block.at(k, 0), 0, size_t(k * size));
    });
  }
  return {upper ? factor : transpose(conj(factor), -1, -2), info};
}

Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  NoRecording off;
  require_system("solve_triangular", a, b);
  const Batch out(broadcast_copy(a, b));
  solve_into(a, out, upper, unit);
  return out.tensor;
}

QrFactors qr_factor(const Tensor& a) {
  NoRecording off;
  require_matrices("qr_factor", a);
  const Batch batch(copy_of(a));
  const int64_t steps = std::min(batch.m, batch.n), size = item_size(a.dtype());
  const Tensor tau = empty(joined(batch_shape(a), {steps}), a.dtype());
  if (cuda::runs_on_gpu(tau)) {
    cuda::factor_qr(batch.matrices(), view(tau, {batch.count, steps}));
    return {batch.tensor, tau};
  }
  for_each_matrix(batch.count, double(batch.m) * double(batch.n) * double(steps),
                  [&](int64_t i) { blocked::qr(batch.m, batch.n, batch[i], tau.bytes() + i * steps * size); });
  return {batch.tensor, tau};
}

namespace {

Tensor reflected(const Tensor& reflectors, const Tensor& tau, const Batch& out, bool adjoint, bool fresh) {
  const Tensor v = contiguous(reflectors), factors = contiguous(tau);
  const int64_t k = tau.size(-1), columns = v.size(-1), size = item_size(v.dtype());
  if (cuda::runs_on_gpu(out.tensor)) {
    cuda::reflect(view(v, {out.count, out.m, columns}), view(factors, {out.count, k}), out.matrices(), adjoint, fresh);
    return out.tensor;
  }
  for_each_matrix(out.count, double(out.m) * double(out.n) * double(k), [&](int64_t i) {
    const Block block{v.bytes() + i * out.m * columns * size, columns, v.dtype()};
    blocked::reflect(out.m, out.n, k, block, factors.bytes() + i * k * size, adjoint, fresh, out[i]);
  });
  return out.tensor;
}

void require_reflectors(const char* function, const Tensor& reflectors, const Tensor& tau) {
  require_matrices(function, reflectors);
  const Shape batch = batch_shape(reflectors);
  require(tau.dtype() == reflectors.dtype() && tau.dim() == reflectors.dim() - 1 && batch_shape(tau, 1) == batch &&
              tau.size(-1) <= std::min(reflectors.size(-1), reflectors.size(-2)),
          function, ": tau of shape ", tau.shape(), " of ", tau.dtype(), " does not match reflectors of shape ",
          reflectors.shape(), " of ", reflectors.dtype());
}

}  // namespace

Tensor householder_product(const Tensor& reflectors, const Tensor& tau, int64_t columns) {
  NoRecording off;
  require_reflectors("householder_product", reflectors, tau);
  require(columns >= tau.size(-1) && columns <= reflectors.size(-2), "householder_product: expected from ",
          tau.size(-1), " to ", reflectors.size(-2), " columns, got ", columns);
  const Tensor identity = eye(reflectors.size(-2), columns, reflectors.dtype());
  const Batch out(copy_of(expand(identity, joined(batch_shape(reflectors), {reflectors.size(-2), columns}))));
  return reflected(reflectors, tau, out, false, true);
}

Tensor apply_reflectors(const Tensor& reflectors, const Tensor& tau, const Tensor& c, bool adjoint) {
  NoRecording off;
  require_reflectors("apply_reflectors", reflectors, tau);
  require_matrices("apply_reflectors", c);
  require(
      c.dtype() == reflectors.dtype() && c.size(-2) == reflectors.size(-2) && batch_shape(c) == batch_shape(reflectors),
      "apply_reflectors: a matrix of shape ", c.shape(), " of ", c.dtype(), " does not match reflectors of shape ",
      reflectors.shape(), " of ", reflectors.dtype());
  return reflected(reflectors, tau, Batch(copy_of(c)), adjoint, false);
}

}  // namespace flambeau
