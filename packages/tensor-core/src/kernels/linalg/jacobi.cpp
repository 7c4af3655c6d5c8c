// Note [Jacobi]
// A rotation of two rows makes an element zero (eigenvalues), or makes the two rows orthogonal (singular values).
// Sweeps over all pairs converge quadratically, and every rotation is a pass over contiguous memory. For matrices of a
// few rows this is faster than reduction to a condensed form, and at least as accurate. Complex elements are first made
// real by a phase. Golub, Van Loan, Matrix Computations, 4th edition, sections 8.5 and 8.6; Hestenes 1958.
#include "kernels/linalg/jacobi.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "flambeau/kernels/parts.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int kSweeps = 40;  // far more than are needed in practice

template <class T>
struct Rotation {
  Real<T> c, s;
  T phase;

  // Computes the rotation that makes a Hermitian 2 x 2 matrix diagonal. `low` and `high` are the diagonal elements, and
  // `coupling` is the off-diagonal element, whose modulus is `size`.
  Rotation(T coupling, Real<T> size, Real<T> low, Real<T> high) : phase(coupling / T(size)) {
    const Real<T> cotangent = (high - low) / (2 * size);
    const Real<T> a = std::fabs(cotangent), root = a < Real<T>(1e9) ? std::sqrt(1 + a * a) : a;  // this avoids overflow
    const Real<T> t = std::copysign(1 / (a + root), cotangent);
    c = 1 / std::sqrt(t * t + 1);
    s = t * c;
  }
  // Replaces x by c x - s turn y, and y by s x + c turn y.
  FLAMBEAU_INLINE void operator()(T* __restrict x, T* __restrict y, int64_t n, T turn) const {
    for (int64_t i = 0; i < n; ++i) {
      const T first = x[i], second = turn * y[i];
      x[i] = first * c - second * s;
      y[i] = first * s + second * c;
    }
  }
};

template <class T>
void identity(T* v, int64_t n) {
  std::fill(v, v + n * n, T(0));
  for (int64_t i = 0; i < n; ++i) v[i * (n + 1)] = T(1);
}

template <class T>
void exchange(T* rows, int64_t length, int64_t i, int64_t j) {
  if (rows) std::swap_ranges(rows + i * length, rows + (i + 1) * length, rows + j * length);
}

template <class T>
void mirror(int64_t n, bool upper, T* a) {
  for (int64_t i = 0; i < n; ++i) {
    a[i * (n + 1)] = T(Parts<T>::real(a[i * (n + 1)]));
    for (int64_t j = i + 1; j < n; ++j) {
      T &above = a[i * n + j], &below = a[j * n + i];
      (upper ? below : above) = Parts<T>::conjugate(upper ? above : below);
    }
  }
}

template <class T>
void eigen(int64_t n, bool upper, void* matrix, void* eigenvalues, void* eigenvectors) {
  T *a = static_cast<T*>(matrix), *v = static_cast<T*>(eigenvectors);
  Real<T>* values = static_cast<Real<T>*>(eigenvalues);
  mirror(n, upper, a);
  if (v) identity(v, n);
  Real<T> norm = 0;
  bool valid = true;
  for (int64_t i = 0; i < n * n; ++i) {
    norm = std::max(norm, Parts<T>::modulus(a[i]));
    valid &= std::isfinite(Parts<T>::modulus(a[i]));
  }
  const Real<T> negligible = norm * std::numeric_limits<Real<T>>::epsilon() / 8;
  bool rotated = valid;
  for (int sweep = 0; rotated && sweep < kSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        const T coupling = a[p * n + q];
        const Real<T> size = Parts<T>::modulus(coupling);
        if (size <= negligible) continue;
        rotated = true;
        const Rotation<T> turn(coupling, size, Parts<T>::real(a[p * n + p]), Parts<T>::real(a[q * n + q]));
        turn(a + p * n, a + q * n, n, turn.phase);  // first the rows are rotated, then the columns
        for (int64_t i = 0; i < n; ++i) turn(a + i * n + p, a + i * n + q, 1, Parts<T>::conjugate(turn.phase));
        if (v) turn(v + p * n, v + q * n, n, Parts<T>::conjugate(turn.phase));
      }
  }
  for (int64_t i = 0; i < n; ++i) values[i] = valid ? Parts<T>::real(a[i * (n + 1)]) : std::nan("");
  for (int64_t i = 0; v && !valid && i < n * n; ++i) v[i] = T(std::nan(""));
  for (int64_t i = 0; valid && i < n; ++i) {
    const int64_t least = std::min_element(values + i, values + n) - values;
    if (least == i) continue;
    std::swap(values[i], values[least]);
    exchange(v, n, i, least);
  }
}

template <class T>
// Returns x^H y.
T inner(const T* x, const T* y, int64_t n) {
  T total(0);
  for (int64_t i = 0; i < n; ++i) total += Parts<T>::conjugate(x[i]) * y[i];
  return total;
}

// Replaces row k by a unit vector that is orthogonal to the preceding rows.
template <class T>
void complete(T* rows, int64_t m, int64_t k) {
  T* row = rows + k * m;
  for (int64_t axis = 0; axis < m; ++axis) {
    std::fill(row, row + m, T(0));
    row[axis] = T(1);
    for (int pass = 0; pass < 2; ++pass)
      for (int64_t j = 0; j < k; ++j) {
        const T part = inner(rows + j * m, row, m);
        for (int64_t i = 0; i < m; ++i) row[i] -= part * rows[j * m + i];
      }
    const Real<T> length = std::sqrt(Parts<T>::real(inner(row, row, m)));
    if (length * length * Real<T>(2 * m) < 1) continue;  // for at least one axis, the squared length is at least 1 / m
    for (int64_t i = 0; i < m; ++i) row[i] = row[i] * (1 / length);
    return;
  }
}

template <class T>
void singular(int64_t n, int64_t m, int64_t rows, void* columns, void* right, void* singular_values) {
  T *w = static_cast<T*>(columns), *v = static_cast<T*>(right);
  Real<T>* values = static_cast<Real<T>*>(singular_values);
  if (v) identity(v, n);
  Real<T> largest = 0;
  for (int64_t i = 0; i < n * m; ++i) largest = std::max(largest, Parts<T>::modulus(w[i]));
  const Real<T> scale = largest > 0 ? largest : Real<T>(1);
  for (int64_t i = 0; i < n * m; ++i) w[i] = w[i] / T(scale);
  constexpr Real<T> kEps = std::numeric_limits<Real<T>>::epsilon();
  const Real<T> negligible = kEps * (1 + Real<T>(m) / 2);  // rounding error of an inner product
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < kSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        T *x = w + p * m, *y = w + q * m;
        const T coupling = inner(x, y, m);
        const Real<T> low = Parts<T>::real(inner(x, x, m)), high = Parts<T>::real(inner(y, y, m)),
                      size = Parts<T>::modulus(coupling);
        if (!(size > negligible * std::sqrt(low) * std::sqrt(high)) || size < std::numeric_limits<Real<T>>::min())
          continue;
        rotated = true;
        const Rotation<T> turn(coupling, size, low, high);
        turn(x, y, m, Parts<T>::conjugate(turn.phase));
        if (v) turn(v + p * n, v + q * n, n, Parts<T>::conjugate(turn.phase));
      }
  }
  for (int64_t i = 0; i < n; ++i) values[i] = std::sqrt(Parts<T>::real(inner(w + i * m, w + i * m, m)));
  for (int64_t i = 0; i < n; ++i) {
    const int64_t most = std::max_element(values + i, values + n) - values;
    if (most != i) {
      std::swap(values[i], values[most]);
      exchange(w, m, i, most);
      exchange(v, n, i, most);
    }
  }
  for (int64_t i = 0; v && i < rows; ++i) {
    if (i < n && values[i] > std::numeric_limits<Real<T>>::min() / kEps)
      for (int64_t j = 0; j < m; ++j) w[i * m + j] = w[i * m + j] * (1 / values[i]);
    else
      complete(w, m, i);
  }
  for (int64_t i = 0; i < n; ++i) values[i] *= scale;
}

template <class T>
Jacobi jacobi() {
  return {eigen<T>, singular<T>};
}

}  // namespace

void fill_jacobi(Table& table) {
  table.jacobi[0] = jacobi<float>();
  table.jacobi[1] = jacobi<double>();
  table.jacobi[2] = jacobi<Complex<float>>();
  table.jacobi[3] = jacobi<Complex<double>>();
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
