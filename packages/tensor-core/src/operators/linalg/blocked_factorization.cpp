// Note [Blocked factorizations]
#include "operators/linalg/blocked_factorization.h"

#include <cstring>

#include "operators/linalg/matrices.h"
#include "operators/products/products.h"

namespace flambeau::blocked {

namespace {

using kernels::Triangle;

constexpr int64_t kPanel = 32;

const kernels::Factorizations& kernels_of(Dtype dtype) {
  return kernels::table().factorizations[int(compute_type(dtype)) - int(Compute::f32)];
}

template <class T>
T conjugate(T v) {
  if constexpr (is_complex_type<T>)
    return T(v.re, -v.im);
  else
    return v;
}

class Scratch {  // a temporary row-major matrix
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

// Computes to[i, j] = conj(from[i, j]).
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

// The conjugate of a matrix, as read-only memory. It is a copy only if the matrix is complex.
struct Conjugate {
  Scratch copy;
  Block block;
  Conjugate(const Block& from, int64_t rows, int64_t columns)
      : copy(is_complex(from.dtype) ? rows : 0, columns, from.dtype), block(is_complex(from.dtype) ? *copy : from) {
    if (is_complex(from.dtype)) conjugate_block(block, from, rows, columns);
  }
};

// Computes C -= A B.
void subtract_product(int64_t m, int64_t n, int64_t k, const kernels::Matrix& a, const kernels::Matrix& b,
                      const Block& c) {
  if (m > 0 && n > 0 && k > 0) gemm(m, n, k, -1, a, b, 1, c.data, c.ld, c.dtype);
}

}  // namespace

void exchange_rows(const Block& a, int64_t first, int64_t last, int64_t i, int64_t j) {
  if (i != j && first < last) std::swap_ranges(a.at(i, first), a.at(i, last), a.at(j, first));
}

void solve(int64_t n, int64_t columns, const Triangle& a, const Block& b) {
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
    solve(n - half, columns, second, b.from(half, 0));
    subtract_product(half, columns, n - half, {part(0, half), a.row, a.column}, b.from(half, 0).plain(), b);
    solve(half, columns, first, b);
  } else {
    solve(half, columns, first, b);
    subtract_product(n - half, columns, half, {part(half, 0), a.row, a.column}, b.plain(), b.from(half, 0));
    solve(n - half, columns, second, b.from(half, 0));
  }
}

int64_t lu(int64_t m, int64_t n, const Block& a, int32_t* pivots) {
  const auto& kernel = kernels_of(a.dtype);
  const int64_t steps = std::min(m, n);
  if (steps <= kPanel && n <= 2 * kPanel) return kernel.lu(m, n, a.data, a.ld, pivots);
  int64_t first_zero = 0;
  for (int64_t k = 0; k < steps; k += kPanel) {
    const int64_t width = std::min(kPanel, steps - k), right = k + width;
    const int64_t zero = kernel.lu(m - k, width, a.at(k, k), a.ld, pivots + k);
    if (zero && !first_zero) first_zero = k + zero;
    for (int64_t i = k; i < right; ++i) {
      pivots[i] += int32_t(k);
      exchange_rows(a, 0, k, i, pivots[i]);
      exchange_rows(a, right, n, i, pivots[i]);
    }
    solve(width, n - right, {a.at(k, k), a.ld, 1, false, true}, a.from(k, right));
    subtract_product(m - right, n - right, width, a.from(right, k).plain(), a.from(k, right).plain(),
                     a.from(right, right));
  }
  return first_zero;
}

int64_t cholesky(int64_t n, const Block& a) {
  const auto& kernel = kernels_of(a.dtype);
  // Update kRows rows of the trailing matrix at a time, which skips most of its lower triangle.
  constexpr int64_t kRows = 128;
  if (n <= 2 * kPanel) return kernel.cholesky(n, a.data, a.ld);
  for (int64_t k = 0; k < n; k += kPanel) {
    const int64_t width = std::min(kPanel, n - k), right = k + width;
    if (const int64_t failed = kernel.cholesky(width, a.at(k, k), a.ld)) return k + failed;
    const Conjugate corner(a.from(k, k), width, width);
    solve(width, n - right, {corner.block.data, 1, corner.block.ld, false, false}, a.from(k, right));
    const Conjugate row(a.from(k, right), width, n - right);
    for (int64_t i = right; i < n; i += kRows)
      subtract_product(std::min(kRows, n - i), n - i, width, row.block.from(0, i - right).transposed(),
                       a.from(k, i).plain(), a.from(i, i));
  }
  return 0;
}

namespace {

// The product of the reflectors in the columns of a panel, in the form 1 - V T V^H.
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

  // Multiplies C by 1 - V T V^H or, if `adjoint`, by its adjoint.
  void apply(int64_t n, bool adjoint, const Block& c) const {
    Scratch inner(k, n, c.dtype), product(k, n, c.dtype);
    gemm(k, n, m, 1, v_conjugate.block.transposed(), c.plain(), 0, inner->data, n, c.dtype);
    gemm(k, n, k, 1, (adjoint ? t_adjoint : t)->plain(), inner->plain(), 0, product->data, n, c.dtype);
    subtract_product(m, n, k, v->plain(), product->plain(), c);
  }

 private:
  // Copies V from a panel and returns the copy. The panel stores neither the ones on V's diagonal nor the zeros above
  // it.
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

  // Computes all columns j of T: T(:j, j) = -tau_j T(:j, :j) V(:, :j)^H v_j and T(j, j) = tau_j.
  template <class T>
  void combine(TypeTag<T>, const char* factors, const char* gram) {
    if constexpr (is_factored<T>) {
      const T *tau = reinterpret_cast<const T*>(factors), *g = reinterpret_cast<const T*>(gram);
      T *ts = reinterpret_cast<T*>(t->data), *adjoint_ts = reinterpret_cast<T*>(t_adjoint->data);
      std::fill(ts, ts + k * k, T(0));
      for (int64_t j = 0; j < k; ++j) {
        for (int64_t i = 0; i < j; ++i) {
          T total(0);
          for (int64_t p = i; p < j; ++p) total += ts[i * k + p] * g[p * k + j];
          ts[i * k + j] = -(tau[j] * total);
        }
        ts[j * k + j] = tau[j];
      }
      for (int64_t i = 0; i < k * k; ++i) adjoint_ts[i % k * k + i / k] = conjugate(ts[i]);
    }
  }
};

}  // namespace

void qr(int64_t m, int64_t n, const Block& a, char* tau) {
  const auto& kernel = kernels_of(a.dtype);
  const int64_t steps = std::min(m, n), size = item_size(a.dtype);
  if (n <= 2 * kPanel) return kernel.qr(m, n, a.data, a.ld, tau);
  for (int64_t k = 0; k < steps; k += kPanel) {
    const int64_t width = std::min(kPanel, steps - k), right = k + width;
    kernel.qr(m - k, width, a.at(k, k), a.ld, tau + k * size);
    if (right < n) BlockReflector(a.from(k, k), tau + k * size, m - k, width).apply(n - right, true, a.from(k, right));
  }
}

void reflect(int64_t m, int64_t n, int64_t k, const Block& v, const char* tau, bool adjoint, bool fresh,
             const Block& c) {
  if (k <= kPanel / 2 || n <= 4) return kernels_of(c.dtype).reflect(m, n, k, v.data, v.ld, tau, adjoint, c.data, c.ld);
  const int64_t blocks = (k + kPanel - 1) / kPanel, size = item_size(c.dtype);
  for (int64_t s = 0; s < blocks; ++s) {
    const int64_t i = (adjoint ? s : blocks - 1 - s) * kPanel, left = fresh ? i : 0;
    BlockReflector(v.from(i, i), tau + i * size, m - i, std::min(kPanel, k - i))
        .apply(n - left, adjoint, c.from(i, left));
  }
}

}  // namespace flambeau::blocked
