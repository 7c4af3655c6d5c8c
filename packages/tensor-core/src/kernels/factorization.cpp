// The inner loops of the factorizations: every one of them adds a multiple of one contiguous row to another.
#include "kernels/factorization.h"

#include <cmath>
#include <utility>

#include "kernels/parts.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// y -= s x
template <class T>
FLAMBEAU_INLINE void subtract(T* __restrict y, const T* __restrict x, T s, int64_t n) {
  for (int64_t j = 0; j < n; ++j) y[j] -= s * x[j];
}

template <class T>
int64_t lu(int64_t m, int64_t n, void* data, int64_t ld, int32_t* pivots) {
  T* a = static_cast<T*>(data);
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
      continue;  // the column below is zero as well
    }
    for (int64_t i = k + 1; i < m; ++i) {
      T& l = a[i * ld + k];
      l = l / row[k];
      subtract(a + i * ld + k + 1, row + k + 1, l, n - k - 1);
    }
  }
  return first_zero;
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

template <class T>
void solve_triangular(int64_t n, int64_t columns, const Triangle& t, void* data, int64_t ldb) {
  T* b = static_cast<T*>(data);
  const T* a = static_cast<const T*>(t.data);
  for (int64_t s = 0; s < n; ++s) {
    const int64_t i = t.upper ? n - 1 - s : s;
    T* row = b + i * ldb;
    const int64_t first = t.upper ? i + 1 : 0, last = t.upper ? n : i;
    for (int64_t j = first; j < last; ++j) subtract(row, b + j * ldb, a[i * t.row + j * t.column], columns);
    const T pivot = a[i * (t.row + t.column)];
    for (int64_t j = 0; j < columns && !t.unit; ++j) row[j] = row[j] / pivot;
  }
}

// The 2-norm of m elements `step` apart, without overflow on the way.
template <class T>
Real<T> norm(const T* x, int64_t step, int64_t m) {
  double largest = 0;
  for (int64_t i = 0; i < m; ++i) {
    const double re = std::fabs(double(Parts<T>::real(x[i * step]))),
                 im = std::fabs(double(Parts<T>::imaginary(x[i * step])));
    largest = re > largest ? re : largest;
    largest = im > largest ? im : largest;
  }
  const double scale = largest > 1e-140 && largest < 1e140 ? 1.0 : (largest > 0 ? largest : 1.0);
  double total = 0;
  for (int64_t i = 0; i < m; ++i) {
    const double re = double(Parts<T>::real(x[i * step])) / scale,
                 im = double(Parts<T>::imaginary(x[i * step])) / scale;
    total += re * re + im * im;
  }
  return Real<T>(scale * std::sqrt(total));
}

// Turns x = (alpha, rest) into beta e_1 with a real beta: alpha becomes beta, the rest becomes v.
template <class T>
T reflector(T* x, int64_t step, int64_t m) {
  const T alpha = *x;
  const Real<T> rest = norm(x + step, step, m - 1), re = Parts<T>::real(alpha), im = Parts<T>::imaginary(alpha);
  if (rest == Real<T>(0) && im == Real<T>(0)) return T(0);
  const Real<T> beta = -std::copysign(std::hypot(std::hypot(re, im), rest), re);
  const T scale = T(1) / (alpha - T(beta));
  for (int64_t i = 1; i < m; ++i) x[i * step] = x[i * step] * scale;
  *x = T(beta);
  return (T(beta) - alpha) / T(beta);
}

// C -= tau v (v^H C); v's leading element is 1.
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

template <class T>
void qr(int64_t m, int64_t n, void* data, int64_t ld, void* factors) {
  T *a = static_cast<T*>(data), *tau = static_cast<T*>(factors);
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
  for (int64_t s = 0; s < k; ++s) {
    const int64_t i = adjoint ? s : k - 1 - s;
    reflect_one(m - i, n, v + i * ldv + i, ldv, adjoint ? Parts<T>::conjugate(tau[i]) : tau[i], c + i * ldc, ldc);
  }
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
