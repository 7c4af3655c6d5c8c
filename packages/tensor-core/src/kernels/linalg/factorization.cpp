// The inner loops of the factorizations. Each loop adds a multiple of one contiguous row to another.
#include "kernels/linalg/factorization.h"

#include <cmath>
#include <type_traits>
#include <utility>

#include "flambeau/kernels/parts.h"
#include "flambeau/kernels/simd.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// Computes y -= s x.
template <class T>
FLAMBEAU_INLINE void subtract(T* __restrict y, const T* __restrict x, T s, int64_t n) {
  for (int64_t j = 0; j < n; ++j) y[j] -= s * x[j];
}

constexpr int64_t kLanes = 32;

// Calls f(lane, i) for all i < n with alternating lanes, so that partial sums are independent.
template <class F>
FLAMBEAU_INLINE void in_lanes(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) f(j, i + j);
  for (; i < n; ++i) f(int64_t(0), i);
}

// A copy of a matrix with contiguous columns.
template <class T>
class Columns {
 public:
  Columns(int64_t m, int64_t n, const T* a, int64_t ld)
      : m_(m), n_(n), bytes_(size_t(m * n) * sizeof(T)), values_(static_cast<T*>(borrow(bytes_))) {
    transposed_copy(values_, m, a, ld, m, n);
  }
  ~Columns() { release_temporary(values_, bytes_); }
  T* at(int64_t i, int64_t j) { return values_ + j * m_ + i; }
  void store(T* a, int64_t ld) const { transposed_copy(a, ld, values_, m_, n_, m_); }

 private:
  static void transposed_copy(T* to, int64_t to_row, const T* from, int64_t from_row, int64_t rows, int64_t columns) {
    if constexpr (std::is_arithmetic_v<T>)
      transpose(to, to_row, from, from_row, rows, columns);
    else
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) to[j * to_row + i] = from[i * from_row + j];
  }
  int64_t m_, n_;
  size_t bytes_;
  T* values_;
};

// Factors the columns of a panel recursively: the left half, then the right half after an update by the left half.
// Toledo, Locality of reference in LU decomposition with partial pivoting, 1997.
template <class T>
struct LuColumns {
  Columns<T>& a;
  int64_t m, n;
  int32_t* pivots;

  int64_t factor(int64_t first, int64_t count) const {
    if (count == 1) return eliminate(first);
    const int64_t half = count / 2, middle = first + half;
    const int64_t zero = factor(first, half);
    update(first, half, middle, count - half);
    const int64_t later_zero = factor(middle, count - half);
    return zero ? zero : later_zero;
  }

  // Subtracts the product of the columns [first, first + terms) of L and rows of U from the `count` columns at `begin`.
  void update(int64_t first, int64_t terms, int64_t begin, int64_t count) const {
    const int64_t below = first + terms;
    for (int64_t j = begin; j < begin + count; ++j)
      for (int64_t p = first; p < below; ++p) subtract(a.at(p + 1, j), a.at(p + 1, p), *a.at(p, j), below - p - 1);
    int64_t j = begin;
    for (; j + 4 <= begin + count; j += 4) subtract_product<4>(first, terms, j);
    for (; j < begin + count; ++j) subtract_product<1>(first, terms, j);
  }

 private:
  // Exchanges row k and the row with the largest element of column k. Divides the elements below by this element.
  int64_t eliminate(int64_t k) const {
    T* column = a.at(0, k);
    const int64_t p = pivot_of(column, k);
    pivots[k] = int32_t(p);
    if (p != k)
      for (int64_t j = 0; j < n; ++j) std::swap(*a.at(k, j), *a.at(p, j));
    if (column[k] == T(0)) return k + 1;  // the elements below are also zero
    for (int64_t i = k + 1; i < m; ++i) column[i] = column[i] / column[k];
    return 0;
  }

  int64_t pivot_of(const T* column, int64_t k) const {
    Real<T> most[kLanes] = {}, largest = 0;
    in_lanes(m - k, [&](int64_t lane, int64_t i) __attribute__((always_inline)) {
      const Real<T> size = Parts<T>::magnitude(column[k + i]);
      most[lane] = size > most[lane] ? size : most[lane];
    });
    for (const Real<T> lane : most) largest = lane > largest ? lane : largest;
    if (!(Parts<T>::magnitude(column[k]) < largest)) return k;  // also if it is NaN
    int64_t p = k;
    while (Parts<T>::magnitude(column[p]) != largest) ++p;
    return p;
  }

  // Updates the rows below the triangle in the kCount columns at j.
  template <int kCount>
  void subtract_product(int64_t first, int64_t terms, int64_t j) const {
    int64_t i = first + terms;
    if constexpr (std::is_floating_point_v<T>) {
      constexpr int64_t kWidth = Simd<T>::kLanes;
      for (; i + 2 * kWidth <= m; i += 2 * kWidth) subtract_tile<kCount, 2>(first, terms, i, j);
      for (; i + kWidth <= m; i += kWidth) subtract_tile<kCount, 1>(first, terms, i, j);
    }
    for (int64_t c = j; c < j + kCount; ++c)
      for (int64_t p = first; p < first + terms; ++p) subtract(a.at(i, c), a.at(i, p), *a.at(p, c), m - i);
  }

  template <int kCount, int kVectors>
  FLAMBEAU_INLINE void subtract_tile(int64_t first, int64_t terms, int64_t i, int64_t j) const {
    using S = Simd<T>;
    typename S::Vector sums[kCount][kVectors];
    for (int c = 0; c < kCount; ++c)
      for (int v = 0; v < kVectors; ++v) sums[c][v] = S::load(a.at(i + v * S::kLanes, j + c));
    for (int64_t p = first; p < first + terms; ++p)
      for (int v = 0; v < kVectors; ++v) {
        const typename S::Vector l = S::load(a.at(i + v * S::kLanes, p));
        for (int c = 0; c < kCount; ++c) sums[c][v] -= *a.at(p, j + c) * l;
      }
    for (int c = 0; c < kCount; ++c)
      for (int v = 0; v < kVectors; ++v) S::store(a.at(i + v * S::kLanes, j + c), sums[c][v]);
  }
};

template <class T>
int64_t lu_rows(int64_t m, int64_t n, T* a, int64_t ld, int32_t* pivots) {
  int64_t first_zero = 0;
  for (int64_t k = 0; k < (m < n ? m : n); ++k) {
    int64_t p = k;
    Real<T> best = Parts<T>::magnitude(a[k * ld + k]);
    for (int64_t i = k + 1; i < m; ++i) {
      const Real<T> size = Parts<T>::magnitude(a[i * ld + k]);
      if (size > best) best = size, p = i;
    }
    pivots[k] = int32_t(p);
    if (p != k)
      for (int64_t j = 0; j < n; ++j) std::swap(a[k * ld + j], a[p * ld + j]);
    const T* row = a + k * ld;
    if (row[k] == T(0)) {
      if (!first_zero) first_zero = k + 1;
      continue;  // the column below is also zero
    }
    for (int64_t i = k + 1; i < m; ++i) {
      T& l = a[i * ld + k];
      l = l / row[k];
      subtract(a + i * ld + k + 1, row + k + 1, l, n - k - 1);
    }
  }
  return first_zero;
}

// Factors contiguous columns if there are so many rows that this saves more time than the copy takes.
template <class T>
int64_t lu(int64_t m, int64_t n, void* data, int64_t ld, int32_t* pivots) {
  T* a = static_cast<T*>(data);
  if (m <= 4 * kLanes) return lu_rows(m, n, a, ld, pivots);
  const int64_t steps = m < n ? m : n;
  Columns<T> columns(m, n, a, ld);
  const LuColumns<T> panel{columns, m, n, pivots};
  const int64_t zero = steps ? panel.factor(0, steps) : 0;
  if (n > steps) panel.update(0, steps, steps, n - steps);
  columns.store(a, ld);
  return zero;
}

template <class T>
int64_t cholesky(int64_t n, void* data, int64_t ld) {
  T* a = static_cast<T*>(data);
  for (int64_t k = 0; k < n; ++k) {
    T* row = a + k * ld;
    const Real<T> pivot = Parts<T>::real(row[k]);
    if (!(pivot > Real<T>(0))) return k + 1;
    const Real<T> root = std::sqrt(pivot), scale = Real<T>(1) / root;
    row[k] = T(root);
    for (int64_t j = k + 1; j < n; ++j) row[j] = row[j] * scale;
    for (int64_t i = k + 1; i < n; ++i) subtract(a + i * ld + i, row + i, Parts<T>::conjugate(row[i]), n - i);
  }
  return 0;
}

// Computes y -= factor(p) * row p of x for all p in [first, last), in this order.
template <int kCount, class T, class F>
FLAMBEAU_INLINE void subtract_vectors(T* y, const T* x, int64_t ldx, int64_t first, int64_t last, F factor) {
  using S = Simd<T>;
  typename S::Vector sums[kCount];
  for (int v = 0; v < kCount; ++v) sums[v] = S::load(y + v * S::kLanes);
  for (int64_t p = first; p < last; ++p) {
    const T scale = factor(p);
    for (int v = 0; v < kCount; ++v) sums[v] -= scale * S::load(x + p * ldx + v * S::kLanes);
  }
  for (int v = 0; v < kCount; ++v) S::store(y + v * S::kLanes, sums[v]);
}

// The same for rows of n elements. Parts of y stay in registers, since a store for each p would take most of the time.
template <class T, class F>
FLAMBEAU_INLINE void subtract_rows(T* y, const T* x, int64_t ldx, int64_t first, int64_t last, F factor, int64_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    constexpr int64_t kWidth = Simd<T>::kLanes;
    int64_t j = 0;
    for (; j + 4 * kWidth <= n; j += 4 * kWidth) subtract_vectors<4>(y + j, x + j, ldx, first, last, factor);
    for (; j + kWidth <= n; j += kWidth) subtract_vectors<1>(y + j, x + j, ldx, first, last, factor);
    for (; j < n; ++j)
      for (int64_t p = first; p < last; ++p) y[j] -= factor(p) * x[p * ldx + j];
  } else {
    for (int64_t p = first; p < last; ++p) subtract(y, x + p * ldx, factor(p), n);
  }
}

template <class T>
void solve_triangular(int64_t n, int64_t columns, const Triangle& t, void* data, int64_t ldb) {
  constexpr int64_t kColumns = 1024 / sizeof(T);  // n rows of these columns fit the L1 cache
  const T* a = static_cast<const T*>(t.data);
  for (int64_t begin = 0; begin < columns; begin += kColumns) {
    const int64_t width = columns - begin < kColumns ? columns - begin : kColumns;
    T* b = static_cast<T*>(data) + begin;
    for (int64_t s = 0; s < n; ++s) {
      const int64_t i = t.upper ? n - 1 - s : s;
      T* row = b + i * ldb;
      const auto factor = [&](int64_t j) { return a[i * t.row + j * t.column]; };
      subtract_rows(row, b, ldb, t.upper ? i + 1 : 0, t.upper ? n : i, factor, width);
      const T pivot = factor(i);
      for (int64_t j = 0; j < width && !t.unit; ++j) row[j] = row[j] / pivot;
    }
  }
}

// Returns the sum of the squares of m elements `step` apart, multiplied by the square of `scale`.
template <class T>
double sum_of_squares(const T* x, int64_t step, int64_t m, double scale) {
  double sums[kLanes] = {}, total = 0;
  in_lanes(m, [&](int64_t j, int64_t i) __attribute__((always_inline)) {
    const double re = double(Parts<T>::real(x[i * step])) * scale,
                 im = double(Parts<T>::imaginary(x[i * step])) * scale;
    sums[j] += re * re + im * im;
  });
  for (const double lane : sums) total += lane;
  return total;
}

// Returns the 2-norm of m elements `step` apart, without intermediate overflow.
template <class T>
Real<T> norm(const T* x, int64_t step, int64_t m) {
  const double squares = sum_of_squares(x, step, m, 1);
  if (sizeof(Real<T>) < sizeof(double) || (squares > 1e-280 && squares < 1e280)) return Real<T>(std::sqrt(squares));
  double largest = 0;
  for (int64_t i = 0; i < m; ++i)
    for (const double part : {double(Parts<T>::real(x[i * step])), double(Parts<T>::imaginary(x[i * step]))})
      largest = std::fabs(part) > largest ? std::fabs(part) : largest;
  int exponent = largest > 0 ? std::ilogb(largest) : 0;
  exponent = exponent < -1000 ? -1000 : exponent > 1000 ? 1000 : exponent;
  const double scale = std::ldexp(1.0, -exponent);
  return Real<T>(std::sqrt(sum_of_squares(x, step, m, scale)) / scale);
}

// Computes the Householder reflector that maps x = (alpha, rest) to beta e_1 with a real beta. Replaces alpha by beta,
// and the rest by v. Returns tau.
template <class T>
T reflector(T* x, int64_t step, int64_t m) {
  const T alpha = *x;
  const Real<T> rest = norm(x + step, step, m - 1), re = Parts<T>::real(alpha), im = Parts<T>::imaginary(alpha);
  if (rest == Real<T>(0) && im == Real<T>(0)) return T(0);
  const Real<T> beta = -std::copysign(std::hypot(std::hypot(re, im), rest), re);
  const T first = alpha - T(beta), scale = T(1) / first;
  if (std::isfinite(Parts<T>::modulus(scale)))
    for (int64_t i = 1; i < m; ++i) x[i * step] = x[i * step] * scale;
  else  // x is subnormal
    for (int64_t i = 1; i < m; ++i) x[i * step] = x[i * step] / first;
  *x = T(beta);
  return (T(beta) - alpha) / T(beta);
}

// Computes C -= tau v (v^H C). The first element of v is taken as 1.
template <class T>
void reflect_one(int64_t m, int64_t n, const T* v, int64_t step, T tau, T* c, int64_t ldc) {
  constexpr int64_t kColumns = 64;
  if (tau == T(0)) return;
  T line[kColumns];
  for (int64_t first = 0; first < n; first += kColumns) {
    const int64_t width = n - first < kColumns ? n - first : kColumns;
    T* part = c + first;
    for (int64_t j = 0; j < width; ++j) line[j] = -part[j];
    for (int64_t i = 1; i < m; ++i) subtract(line, part + i * ldc, Parts<T>::conjugate(v[i * step]), width);
    for (int64_t j = 0; j < width; ++j) line[j] = -(tau * line[j]);
    subtract(part, line, T(1), width);
    for (int64_t i = 1; i < m; ++i) subtract(part + i * ldc, line, v[i * step], width);
  }
}

// Computes C -= tau v (v^H C) for kCount real columns of C, which share the loads of v. Columns and v are contiguous.
template <int kCount, class T>
void reflect_columns_of(int64_t m, const T* v, T tau, T* c, int64_t ldc) {
  using S = Simd<T>;
  constexpr int64_t kWidth = S::kLanes;
  const int64_t vectors = (m - 1) / kWidth, rest = 1 + vectors * kWidth;
  typename S::Vector sums[kCount] = {};
  for (int64_t i = 1; i < rest; i += kWidth)
    for (int j = 0; j < kCount; ++j) sums[j] += S::load(v + i) * S::load(c + j * ldc + i);
  T shares[kCount];
  for (int j = 0; j < kCount; ++j) {
    T total = c[j * ldc];
    for (int lane = 0; lane < kWidth; ++lane) total += sums[j][lane];
    for (int64_t i = rest; i < m; ++i) total += v[i] * c[j * ldc + i];
    shares[j] = tau * total;
    c[j * ldc] -= shares[j];
  }
  for (int64_t i = 1; i < rest; i += kWidth)
    for (int j = 0; j < kCount; ++j) S::store(c + j * ldc + i, S::load(c + j * ldc + i) - shares[j] * S::load(v + i));
  for (int j = 0; j < kCount; ++j) subtract(c + j * ldc + rest, v + rest, shares[j], m - rest);
}

// Like reflect_one(), if the columns of C and v are contiguous.
template <class T>
void reflect_columns(int64_t m, int64_t n, const T* v, T tau, T* c, int64_t ldc) {
  int64_t column = 0;
  if constexpr (std::is_floating_point_v<T>)
    for (; column + 8 <= n; column += 8) reflect_columns_of<8>(m, v, tau, c + column * ldc, ldc);
  for (c += column * ldc; column < n; ++column, c += ldc) {
    T sums[kLanes] = {}, total = c[0];
    in_lanes(m - 1, [&](int64_t j, int64_t i)
                        __attribute__((always_inline)) { sums[j] += Parts<T>::conjugate(v[i + 1]) * c[i + 1]; });
    for (const T lane : sums) total += lane;
    const T share = tau * total;
    c[0] -= share;
    subtract(c + 1, v + 1, share, m - 1);
  }
}

// reflect() first makes the columns of a tall, narrow matrix contiguous, because its rows are too short for vectors.
constexpr bool is_tall(int64_t m, int64_t n) { return n <= 16 && m >= 16 * n; }

template <class T>
void qr(int64_t m, int64_t n, void* data, int64_t ld, void* factors) {
  T *a = static_cast<T*>(data), *tau = static_cast<T*>(factors);
  if (m > kLanes) {
    Columns<T> c(m, n, a, ld);
    for (int64_t k = 0; k < (m < n ? m : n); ++k) {
      tau[k] = reflector(c.at(k, k), 1, m - k);
      reflect_columns(m - k, n - k - 1, c.at(k, k), Parts<T>::conjugate(tau[k]), c.at(k, k) + m, m);
    }
    return c.store(a, ld);
  }
  for (int64_t k = 0; k < (m < n ? m : n); ++k) {
    T* corner = a + k * ld + k;
    tau[k] = reflector(corner, ld, m - k);
    reflect_one(m - k, n - k - 1, corner, ld, Parts<T>::conjugate(tau[k]), corner + 1, ld);
  }
}

template <class T>
void reflect(int64_t m, int64_t n, int64_t k, const void* reflectors, int64_t ldv, const void* factors, bool adjoint,
             void* data, int64_t ldc) {
  const T *v = static_cast<const T*>(reflectors), *tau = static_cast<const T*>(factors);
  T* c = static_cast<T*>(data);
  const bool tall = is_tall(m, n) && is_tall(m, k);
  Columns<T> vectors(tall ? m : 0, k, v, ldv), columns(tall ? m : 0, n, c, ldc);
  for (int64_t s = 0; s < k; ++s) {
    const int64_t i = adjoint ? s : k - 1 - s;
    const T factor = adjoint ? Parts<T>::conjugate(tau[i]) : tau[i];
    if (tall)
      reflect_columns(m - i, n, vectors.at(i, i), factor, columns.at(i, 0), m);
    else
      reflect_one(m - i, n, v + i * ldv + i, ldv, factor, c + i * ldc, ldc);
  }
  if (tall) columns.store(c, ldc);
}

template <class T>
Factorizations factorizations() {
  return {lu<T>, cholesky<T>, solve_triangular<T>, qr<T>, reflect<T>};
}

}  // namespace

void fill_factorization(Table& table) {
  table.factorizations[0] = factorizations<float>();
  table.factorizations[1] = factorizations<double>();
  table.factorizations[2] = factorizations<Complex<float>>();
  table.factorizations[3] = factorizations<Complex<double>>();
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
