// LU, Cholesky and QR factorizations and triangular systems, over batches and threads.
//
// Note [Blocked factorizations]
// A panel of kPanel columns is factored by the kernel, in a compact copy; what lies right of it follows by a triangular
// solve and one matrix product, which does nearly all of the work. Householder's reflectors of a panel act together as
// 1 - V T V^H with a small triangular T (Schreiber, Van Loan 1989). Batches are split over the threads; within one
// large matrix it is the products that are. Golub, Van Loan, Matrix Computations, 4th edition, chapters 3 to 5.
#include "flambeau/factorization.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cuda/elimination.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"
#include "operators/matrices.h"
#include "operators/products.h"

namespace flambeau {

namespace {

using kernels::Triangle;

constexpr int64_t kPanel = 32;

const kernels::Factorizations& kernels_of(Dtype dtype) {
  return kernels::table().factorizations[int(compute_type(dtype)) - int(Compute::f32)];
}

struct Block {  // a row-major matrix in memory
  char* data;
  int64_t ld;  // elements between rows
  Dtype dtype;

  char* at(int64_t i, int64_t j) const { return data + (i * ld + j) * item_size(dtype); }
  Block from(int64_t i, int64_t j) const { return {at(i, j), ld, dtype}; }
  kernels::Matrix plain() const { return {data, ld, 1}; }
  kernels::Matrix transposed() const { return {data, 1, ld}; }
};

template <class T>
T conjugate(T v) {
  if constexpr (is_complex_type<T>)
    return T(v.re, -v.im);
  else
    return v;
}

class Scratch {  // a row-major matrix of its own
 public:
  Scratch(int64_t rows, int64_t columns, Dtype dtype)
      : bytes_(size_t(std::max<int64_t>(1, rows * columns) * item_size(dtype))),
        data_(allocate(bytes_)),
        block_{static_cast<char*>(data_), columns, dtype} {}
  ~Scratch() { deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  const Block& operator*() const { return block_; }
  const Block* operator->() const { return &block_; }

 private:
  size_t bytes_;
  void* data_;
  Block block_;
};

void copy_block(const Block& to, const Block& from, int64_t rows, int64_t columns) {
  const size_t bytes = size_t(columns * item_size(to.dtype));
  for (int64_t i = 0; i < rows; ++i) std::memcpy(to.at(i, 0), from.at(i, 0), bytes);
}

// to[i, j] = conj(from[i, j])
void conjugate_block(const Block& to, const Block& from, int64_t rows, int64_t columns) {
  dispatch_all(to.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (is_complex_type<T>)
      for (int64_t i = 0; i < rows; ++i) {
        const T* source = reinterpret_cast<const T*>(from.at(i, 0));
        for (int64_t j = 0; j < columns; ++j) reinterpret_cast<T*>(to.at(i, 0))[j] = conjugate(source[j]);
      }
  });
}

// The conjugate of a matrix to read, without a copy where it is the matrix itself.
struct Conjugate {
  Scratch copy;
  Block block;
  Conjugate(const Block& from, int64_t rows, int64_t columns)
      : copy(is_complex(from.dtype) ? rows : 0, columns, from.dtype), block(is_complex(from.dtype) ? *copy : from) {
    if (is_complex(from.dtype)) conjugate_block(block, from, rows, columns);
  }
};

// C -= A B
void subtract_product(int64_t m, int64_t n, int64_t k, const kernels::Matrix& a, const kernels::Matrix& b,
                      const Block& c) {
  if (m > 0 && n > 0 && k > 0) gemm(m, n, k, -1, a, b, 1, c.data, c.ld, c.dtype);
}

void exchange_rows(const Block& a, int64_t first, int64_t last, int64_t i, int64_t j) {  // of the columns [first, last)
  if (i != j && first < last) std::swap_ranges(a.at(i, first), a.at(i, last), a.at(j, first));
}

// Runs body(first, last) over ranges of columns, which have no part in each other: a thread that goes all the way with
// its own finds them in its cache. Ranges are so wide that products take the same path in each.
template <class F>
void over_columns(int64_t columns, double work, F&& body) {  // work: multiply-adds a column
  constexpr int64_t kGroup = 64;
  const int64_t groups = std::max<int64_t>(1, columns / kGroup);
  parallel_items(groups, std::max<int64_t>(1, int64_t(100000 / (kGroup * work + 1))),
                 [&](int64_t begin, int64_t end) { body(begin * kGroup, end == groups ? columns : end * kGroup); });
}

// B = A^-1 B, by halves.
void solve_block(int64_t n, int64_t columns, const Triangle& a, const Block& b) {
  if (n <= kPanel) {
    parallel_for(columns, std::max<int64_t>(64, 100000 / (n * n + 1)), [&](int64_t begin, int64_t end) {
      kernels_of(b.dtype).solve_triangular(n, end - begin, a, b.at(0, begin), b.ld);
    });
    return;
  }
  const int64_t half = n / 2, size = item_size(b.dtype);
  auto part = [&](int64_t i, int64_t j) {
    return static_cast<const char*>(a.data) + (i * a.row + j * a.column) * size;
  };
  const Triangle first{part(0, 0), a.row, a.column, a.upper, a.unit},
      second{part(half, half), a.row, a.column, a.upper, a.unit};
  if (a.upper) {
    solve_block(n - half, columns, second, b.from(half, 0));
    subtract_product(half, columns, n - half, {part(0, half), a.row, a.column}, b.from(half, 0).plain(), b);
    solve_block(half, columns, first, b);
  } else {
    solve_block(half, columns, first, b);
    subtract_product(n - half, columns, half, {part(half, 0), a.row, a.column}, b.plain(), b.from(half, 0));
    solve_block(n - half, columns, second, b.from(half, 0));
  }
}

int64_t factor_lu(int64_t m, int64_t n, const Block& a, int32_t* pivots) {
  const auto& kernel = kernels_of(a.dtype);
  const int64_t steps = std::min(m, n);
  if (steps <= kPanel && n <= 2 * kPanel) return kernel.lu(m, n, a.data, a.ld, pivots);
  Scratch compact(m, kPanel, a.dtype);
  int64_t first_zero = 0;
  for (int64_t k = 0; k < steps; k += kPanel) {
    const int64_t width = std::min(kPanel, steps - k), right = k + width;
    copy_block(*compact, a.from(k, k), m - k, width);
    const int64_t zero = kernel.lu(m - k, width, compact->data, compact->ld, pivots + k);
    copy_block(a.from(k, k), *compact, m - k, width);
    if (zero && !first_zero) first_zero = k + zero;
    for (int64_t i = k; i < right; ++i) {
      pivots[i] += int32_t(k);
      exchange_rows(a, 0, k, i, pivots[i]);
      exchange_rows(a, right, n, i, pivots[i]);
    }
    solve_block(width, n - right, {a.at(k, k), a.ld, 1, false, true}, a.from(k, right));
    subtract_product(m - right, n - right, width, a.from(right, k).plain(), a.from(k, right).plain(),
                     a.from(right, right));
  }
  return first_zero;
}

int64_t factor_cholesky(int64_t n, const Block& a) {
  const auto& kernel = kernels_of(a.dtype);
  constexpr int64_t kRows = 128;  // of the trailing matrix at a time, so that its lower part is left alone
  if (n <= 2 * kPanel) return kernel.cholesky(n, a.data, a.ld);
  for (int64_t k = 0; k < n; k += kPanel) {
    const int64_t width = std::min(kPanel, n - k), right = k + width;
    if (const int64_t failed = kernel.cholesky(width, a.at(k, k), a.ld)) return k + failed;
    const Conjugate corner(a.from(k, k), width, width);
    solve_block(width, n - right, {corner.block.data, 1, corner.block.ld, false, false}, a.from(k, right));
    const Conjugate row(a.from(k, right), width, n - right);
    for (int64_t i = right; i < n; i += kRows)
      subtract_product(std::min(kRows, n - i), n - i, width, row.block.from(0, i - right).transposed(),
                       a.from(k, i).plain(), a.from(i, i));
  }
  return 0;
}

// The reflectors in the columns of a panel as 1 - V T V^H.
struct BlockReflector {
  int64_t m, k;
  Scratch v, t, t_adjoint;
  Conjugate v_conjugate;

  BlockReflector(const Block& panel, const char* tau, int64_t m, int64_t k)
      : m(m),
        k(k),
        v(m, k, panel.dtype),
        t(k, k, panel.dtype),
        t_adjoint(k, k, panel.dtype),
        v_conjugate(take(panel), m, k) {
    Scratch gram(k, k, panel.dtype);
    gemm(k, k, m, 1, v_conjugate.block.transposed(), v->plain(), 0, gram->data, k, panel.dtype);
    dispatch_all(panel.dtype, [&](auto tag) { combine(tag, tau, gram->data); });
  }

  // C = (1 - V T V^H) C, or its adjoint.
  void apply(int64_t n, bool adjoint, const Block& c) const {
    Scratch inner(k, n, c.dtype), turned(k, n, c.dtype);
    gemm(k, n, m, 1, v_conjugate.block.transposed(), c.plain(), 0, inner->data, n, c.dtype);
    gemm(k, n, k, 1, (adjoint ? t_adjoint : t)->plain(), inner->plain(), 0, turned->data, n, c.dtype);
    subtract_product(m, n, k, v->plain(), turned->plain(), c);
  }

 private:
  // V, with its ones and zeros.
  const Block& take(const Block& panel) {
    copy_block(*v, panel, m, k);
    dispatch_all(panel.dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_factored<T>)
        for (int64_t i = 0; i < k; ++i) {
          T* row = reinterpret_cast<T*>(v->at(i, 0));
          row[i] = T(1);
          std::fill(row + i + 1, row + k, T(0));
        }
    });
    return *v;
  }

  // T(:j, j) = -tau_j T(:j, :j) V(:, :j)^H v_j
  template <class T>
  void combine(TypeTag<T>, const char* factors, const char* gram) {
    if constexpr (is_factored<T>) {
      const T *tau = reinterpret_cast<const T*>(factors), *g = reinterpret_cast<const T*>(gram);
      T *ts = reinterpret_cast<T*>(t->data), *turned = reinterpret_cast<T*>(t_adjoint->data);
      std::fill(ts, ts + k * k, T(0));
      for (int64_t j = 0; j < k; ++j) {
        for (int64_t i = 0; i < j; ++i) {
          T total(0);
          for (int64_t p = i; p < j; ++p) total += ts[i * k + p] * g[p * k + j];
          ts[i * k + j] = -(tau[j] * total);
        }
        ts[j * k + j] = tau[j];
      }
      for (int64_t i = 0; i < k * k; ++i) turned[i % k * k + i / k] = conjugate(ts[i]);
    }
  }
};

void factor_qr(int64_t m, int64_t n, const Block& a, char* tau) {
  const auto& kernel = kernels_of(a.dtype);
  const int64_t steps = std::min(m, n), size = item_size(a.dtype);
  if (n <= 2 * kPanel) return kernel.qr(m, n, a.data, a.ld, tau);
  Scratch compact(m, kPanel, a.dtype);
  for (int64_t k = 0; k < steps; k += kPanel) {
    const int64_t width = std::min(kPanel, steps - k), right = k + width;
    copy_block(*compact, a.from(k, k), m - k, width);
    kernel.qr(m - k, width, compact->data, compact->ld, tau + k * size);
    copy_block(a.from(k, k), *compact, m - k, width);
    if (right < n) BlockReflector(a.from(k, k), tau + k * size, m - k, width).apply(n - right, true, a.from(k, right));
  }
}

// C = Q C or Q^H C. `fresh`: C was the identity, whose columns left of a block the block leaves alone.
void reflect_block(int64_t m, int64_t n, int64_t k, const Block& v, const char* tau, bool adjoint, bool fresh,
                   const Block& c) {
  if (k <= kPanel / 2 || n <= 4) return kernels_of(c.dtype).reflect(m, n, k, v.data, v.ld, tau, adjoint, c.data, c.ld);
  const int64_t blocks = (k + kPanel - 1) / kPanel, size = item_size(c.dtype);
  for (int64_t s = 0; s < blocks; ++s) {
    const int64_t i = (adjoint ? s : blocks - 1 - s) * kPanel, left = fresh ? i : 0;
    BlockReflector(v.from(i, i), tau + i * size, m - i, std::min(kPanel, k - i))
        .apply(n - left, adjoint, c.from(i, left));
  }
}

// The matrices of a batch, one after the other.
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

Tensor copy_of(const Tensor& t) {  // contiguous, its own
  Tensor out = empty(t.shape(), t.dtype());
  copy_values(out, t);
  return out;
}

template <class F>
void each(int64_t count, double work, F&& body) {  // work: multiply-adds a matrix
  parallel_items(count, std::max<int64_t>(1, int64_t(50000 / (work + 50))), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

double cube(int64_t n) { return double(n) * double(n) * double(n); }

// A triangular matrix for each of B's.
struct Triangles {
  Tensor tensor;
  bool upper, unit;
  int64_t step;  // elements between matrices

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
  if (cuda::takes(b.tensor)) {
    const Tensor& one = triangles.tensor;
    return cuda::solve_triangles(one.dim() == 2 ? expand(one, {b.count, b.m, b.m}) : one, b.matrices(), upper, unit);
  }
  const double work = double(b.m) * double(b.m);
  each(b.count, work * double(b.n), [&](int64_t i) {
    over_columns(b.n, work,
                 [&](int64_t begin, int64_t end) { solve_block(b.m, end - begin, triangles[i], b[i].from(0, begin)); });
  });
}

Tensor broadcast_copy(const Tensor& a, const Tensor& b) {  // B, once for every pair of matrices
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
  if (cuda::takes(batch.tensor)) {
    cuda::factor_lu(batch.matrices(), pivots, info);
    return {batch.tensor, pivots, info};
  }
  each(batch.count, double(batch.m) * double(batch.n) * double(steps), [&](int64_t i) {
    int32_t* p = pivots.data<int32_t>() + i * steps;
    info.data<int32_t>()[i] = int32_t(factor_lu(batch.m, batch.n, batch[i], p));
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
  const Shape shape = batch_shape(out.tensor);
  const Tensor order = contiguous(expand(pivots, joined(shape, {out.m})));
  const bool on_gpu = cuda::takes(order);
  for (int64_t i = 0; i < order.numel() && !on_gpu; ++i)
    require(order.data<int32_t>()[i] >= 1 && order.data<int32_t>()[i] <= out.m, "pivots must be between 1 and ", out.m,
            ", got ", order.data<int32_t>()[i]);
  auto exchange = [&](bool back) {
    if (on_gpu) return cuda::exchange_rows(out.matrices(), order, back);
    each(out.count, double(out.m * out.n), [&](int64_t i) {
      const int32_t* p = order.data<int32_t>() + i * out.m;
      over_columns(out.n, double(out.m), [&](int64_t begin, int64_t end) {
        for (int64_t s = 0; s < out.m; ++s) {
          const int64_t k = back ? out.m - 1 - s : s;
          exchange_rows(out[i], begin, end, k, p[k] - 1);
        }
      });
    });
  };
  const Tensor factors = adjoint ? transpose(conj(lu), -1, -2) : lu;
  if (!adjoint) exchange(false);
  solve_into(factors, out, false, !adjoint);  // L, or U^H
  solve_into(factors, out, true, adjoint);    // U, or L^H
  if (adjoint) exchange(true);
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
  if (cuda::takes(factor)) {
    cuda::factor_cholesky(batch.matrices(), info);
    factor = triu(factor, 0);
  } else {
    const int64_t size = item_size(a.dtype());
    each(batch.count, cube(batch.n) / 3, [&](int64_t i) {
      const Block block = batch[i];
      info.data<int32_t>()[i] = int32_t(factor_cholesky(batch.n, block));
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
  if (cuda::takes(tau)) {
    cuda::factor_qr(batch.matrices(), view(tau, {batch.count, steps}));
    return {batch.tensor, tau};
  }
  each(batch.count, double(batch.m) * double(batch.n) * double(steps),
       [&](int64_t i) { factor_qr(batch.m, batch.n, batch[i], tau.bytes() + i * steps * size); });
  return {batch.tensor, tau};
}

namespace {

Tensor reflected(const Tensor& reflectors, const Tensor& tau, const Batch& out, bool adjoint, bool fresh) {
  const Tensor v = contiguous(reflectors), factors = contiguous(tau);
  const int64_t k = tau.size(-1), columns = v.size(-1), size = item_size(v.dtype());
  if (cuda::takes(out.tensor)) {
    cuda::reflect(view(v, {out.count, out.m, columns}), view(factors, {out.count, k}), out.matrices(), adjoint, fresh);
    return out.tensor;
  }
  each(out.count, double(out.m) * double(out.n) * double(k), [&](int64_t i) {
    const Block block{v.bytes() + i * out.m * columns * size, columns, v.dtype()};
    reflect_block(out.m, out.n, k, block, factors.bytes() + i * k * size, adjoint, fresh, out[i]);
  });
  return out.tensor;
}

void require_reflectors(const char* function, const Tensor& reflectors, const Tensor& tau) {
  require_matrices(function, reflectors);
  const Shape batch = batch_shape(reflectors);
  require(tau.dtype() == reflectors.dtype() && tau.dim() == reflectors.dim() - 1 && batch_shape(tau, 1) == batch &&
              tau.size(-1) <= std::min(reflectors.size(-1), reflectors.size(-2)),
          function, ": factors ", tau.shape(), " of ", tau.dtype(), " do not fit reflectors ", reflectors.shape(),
          " of ", reflectors.dtype());
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
      "apply_reflectors: matrices ", c.shape(), " of ", c.dtype(), " do not fit reflectors ", reflectors.shape(),
      " of ", reflectors.dtype());
  return reflected(reflectors, tau, Batch(copy_of(c)), adjoint, false);
}

}  // namespace flambeau
