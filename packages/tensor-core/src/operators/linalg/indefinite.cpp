// The LDL factorization of symmetric and Hermitian matrices that need not be positive definite: Bunch, Kaufman 1977, in
// the form of LAPACK's sytf2 and hetf2. The lower triangle contains all results.
#include <algorithm>
#include <cmath>
#include <utility>

#include "cuda/linalg/elimination.h"
#include "flambeau/operators/factorization.h"
#include "flambeau/parallel.h"
#include "operators/linalg/matrices.h"

namespace flambeau {

namespace {

template <class T>
struct Indefinite {
  T* a;
  int64_t n;
  bool hermitian;

  T& at(int64_t i, int64_t j) const { return a[i * n + j]; }
  T mirrored(T v) const {
    if constexpr (is_complex_type<T>) return hermitian ? T(v.re, -v.im) : v;
    return v;
  }
  static double size(T v) {
    if constexpr (is_complex_type<T>)
      return std::fabs(double(v.re)) + std::fabs(double(v.im));
    else
      return std::fabs(double(v));
  }
  // Returns the element (i, j) of the matrix, of which only the lower triangle is stored.
  T full_element(int64_t i, int64_t j) const { return i >= j ? at(i, j) : mirrored(at(j, i)); }

  struct PivotChoice {
    int64_t row;
    int width;  // size of the block of D: 1 or 2 rows; 0 for a column of zeros
  };
  PivotChoice choose(int64_t k) const {
    const double alpha = (1 + std::sqrt(17.0)) / 8;  // threshold that bounds the growth of elements
    const double own = size(at(k, k));
    int64_t row = k;
    double most = 0;
    for (int64_t i = k + 1; i < n; ++i)
      if (const double s = size(at(i, k)); s > most) most = s, row = i;
    if (std::max(own, most) == 0 || std::isnan(own)) return {k, 0};
    if (own >= alpha * most) return {k, 1};
    double across = 0;
    for (int64_t j = k; j < n; ++j)
      if (j != row) across = std::max(across, size(full_element(row, j)));
    if (own >= alpha * most * (most / across)) return {k, 1};
    return {row, size(at(row, row)) >= alpha * across ? 1 : 2};
  }

  // Exchanges rows and columns i < j of the remaining matrix, which starts at row k.
  void exchange(int64_t k, int64_t i, int64_t j) const {
    if (i == j) return;
    for (int64_t c = k; c < i; ++c) std::swap(at(i, c), at(j, c));
    for (int64_t r = j + 1; r < n; ++r) std::swap(at(r, i), at(r, j));
    for (int64_t r = i + 1; r < j; ++r) {
      const T below = at(r, i);
      at(r, i) = mirrored(at(j, r));
      at(j, r) = mirrored(below);
    }
    at(j, i) = mirrored(at(j, i));
    std::swap(at(i, i), at(j, j));
  }

  // Returns (x, y) D^-1 for the 2x2 block D at k.
  std::pair<T, T> divided(int64_t k, T x, T y) const {
    // The 2x2 block D, divided by its off-diagonal element c.
    const T c = at(k + 1, k), scaled = at(k, k) / mirrored(c), other = at(k + 1, k + 1) / c;
    const T determinant = scaled * other - T(1);
    return {(other * x - y) / (determinant * mirrored(c)), (scaled * y - x) / (determinant * c)};
  }

  int64_t factor(int32_t* pivots) const {
    int64_t info = 0;
    for (int64_t k = 0; k < n;) {
      if constexpr (is_complex_type<T>)
        if (hermitian) at(k, k) = T(at(k, k).re);
      const PivotChoice choice = choose(k);
      const int width = std::max(1, choice.width);
      const int64_t last = k + width - 1;
      if (choice.width == 0 && !info) info = k + 1;
      exchange(k, last, choice.row);
      if (choice.width == 1) eliminate_one(k);
      if (choice.width == 2) eliminate_two(k);
      for (int64_t i = k; i <= last; ++i) pivots[i] = int32_t(width == 1 ? choice.row + 1 : -(choice.row + 1));
      k += width;
    }
    return info;
  }

  // Eliminates column k. Rows are computed from the last to the first, because a row depends on elements of the rows
  // above it that are overwritten later.
  void eliminate_one(int64_t k) const {
    for (int64_t i = n - 1; i > k; --i) {
      const T l = at(i, k) / at(k, k);
      for (int64_t j = k + 1; j <= i; ++j) at(i, j) -= l * mirrored(at(j, k));
      at(i, k) = l;
    }
  }
  void eliminate_two(int64_t k) const {
    for (int64_t i = n - 1; i > k + 1; --i) {
      const auto [l, m] = divided(k, at(i, k), at(i, k + 1));
      for (int64_t j = k + 2; j <= i; ++j) at(i, j) -= l * mirrored(at(j, k)) + m * mirrored(at(j, k + 1));
      at(i, k) = l;
      at(i, k + 1) = m;
    }
  }

  struct RightHandSides {  // the matrix B of A X = B
    T* b;
    int64_t columns;
    T* operator[](int64_t i) const { return b + i * columns; }
    void exchange(int64_t i, int64_t j) const {
      if (i != j) std::swap_ranges((*this)[i], (*this)[i] + columns, (*this)[j]);
    }
    // Computes b_i -= factor b_j.
    void subtract(int64_t i, T factor, int64_t j) const {
      for (int64_t c = 0; c < columns; ++c) (*this)[i][c] -= factor * (*this)[j][c];
    }
  };

  // Solves with the block of D at k: divides row k of B or, if `width` is 2, the rows k and k + 1 by the block.
  void divide(int64_t k, int width, const RightHandSides& b) const {
    for (int64_t c = 0; c < b.columns; ++c) {
      if (width == 1) {
        b[k][c] = b[k][c] / at(k, k);
        continue;
      }
      const T coupling = at(k + 1, k), p = at(k + 1, k + 1) / coupling, q = at(k, k) / mirrored(coupling);
      const T x = b[k][c] / mirrored(coupling), y = b[k + 1][c] / coupling, determinant = p * q - T(1);
      b[k][c] = (p * x - y) / determinant;
      b[k + 1][c] = (q * y - x) / determinant;
    }
  }

  void solve(const int32_t* pivots, const RightHandSides& b) const {
    for (int64_t k = 0; k < n;) {
      const int width = pivots[k] > 0 || k + 1 == n ? 1 : 2;
      b.exchange(k + width - 1, std::abs(pivots[k]) - 1);
      for (int64_t i = k + width; i < n; ++i)
        for (int w = 0; w < width; ++w) b.subtract(i, at(i, k + w), k + w);
      divide(k, width, b);
      k += width;
    }
    for (int64_t last = n - 1; last >= 0;) {
      const int width = pivots[last] > 0 || last == 0 ? 1 : 2;
      const int64_t k = last - width + 1;
      for (int64_t i = last + 1; i < n; ++i)
        for (int w = 0; w < width; ++w) b.subtract(k + w, mirrored(at(i, k + w)), i);
      b.exchange(last, std::abs(pivots[k]) - 1);
      last -= width;
    }
  }
};

// Calls body(type tag, index of the matrix) for every matrix of a batch, on several threads.
template <class F>
void for_each_matrix(int64_t count, int64_t n, Dtype dtype, F&& body) {
  parallel_items(count, std::max<int64_t>(1, 50000 / (n * n * n + 50)), [&](int64_t begin, int64_t end) {
    dispatch_all(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_floating_point_v<T> || is_complex_type<T>)
        for (int64_t i = begin; i < end; ++i) body(tag, i);
    });
  });
}

}  // namespace

LuFactors ldl_factor(const Tensor& a, bool hermitian) {
  NoRecording off;
  require_square("ldl_factor", a);
  const Tensor ld = contiguous(tril(a, 0));
  const int64_t n = a.size(-1);
  const Shape batch(a.shape().begin(), a.shape().end() - 2);
  const Tensor pivots = empty(joined(batch, {n}), Dtype::int32), info = zeros(batch, Dtype::int32);
  if (cuda::runs_on_gpu(ld)) {
    const int64_t count = product(batch);
    cuda::factor_indefinite(view(ld, {count, n, n}), pivots, info, hermitian);
    return {ld, pivots, info};
  }
  for_each_matrix(product(batch), n, a.dtype(), [&](auto tag, int64_t i) {
    using T = typename decltype(tag)::type;
    info.data<int32_t>()[i] =
        int32_t(Indefinite<T>{ld.data<T>() + i * n * n, n, hermitian}.factor(pivots.data<int32_t>() + i * n));
  });
  return {ld, pivots, info};
}

Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b, bool hermitian) {
  NoRecording off;
  require_system("ldl_solve", ld, b);
  require(category(pivots.dtype()) == Category::Integer, "ldl_solve: expected pivots of integers, got ",
          pivots.dtype());
  const int64_t n = ld.size(-1), columns = b.size(-1);
  const Shape batch =
      broadcast(Shape(ld.shape().begin(), ld.shape().end() - 2), Shape(b.shape().begin(), b.shape().end() - 2));
  const Tensor factors = contiguous(expand(ld, joined(batch, {n, n}))),
               order = contiguous(expand(to(pivots, Dtype::int32), joined(batch, {n}))),
               out = clone(contiguous(expand(b, joined(batch, {n, columns}))));
  if (cuda::runs_on_gpu(out)) {
    const int64_t count = product(batch);
    cuda::solve_indefinite(view(factors, {count, n, n}), order, view(out, {count, n, columns}), hermitian);
    return out;
  }
  for (int64_t i = 0; i < order.numel(); ++i) {
    const int64_t pivot = std::abs(int64_t(order.data<int32_t>()[i]));
    require(pivot >= 1 && pivot <= n, "linalg.ldl_solve: pivots must be between 1 and ", n, " in absolute value, got ",
            pivot);
  }
  for_each_matrix(product(batch), n, ld.dtype(), [&](auto tag, int64_t i) {
    using T = typename decltype(tag)::type;
    Indefinite<T>{factors.data<T>() + i * n * n, n, hermitian}.solve(order.data<int32_t>() + i * n,
                                                                     {out.data<T>() + i * n * columns, columns});
  });
  return out;
}

}  // namespace flambeau
