// Eigenvalues and eigenvectors of small general matrices. Note [Shifted QR]
#include <atomic>
#include <cstring>

#include "flambeau/operators/factorization.h"
#include "flambeau/parallel.h"
#include "operators/linalg/matrices.h"
#include "operators/linalg/shifted_qr.h"

namespace flambeau {

namespace {

using namespace shifted_qr;

template <class S, class T>
S widened(T x) {
  if constexpr (is_complex_type<T>)
    return {double(x.re), double(x.im)};
  else
    return double(x);
}

// Returns 1 or, if squares of entries could overflow or underflow, a power of two that scales the largest entry to
// about 1. Returns 0 if an entry is not finite.
template <class S>
double scale_of(const std::vector<S>& a) {
  double largest = 0;
  for (const S& x : a) {
    if (!(size_of(x) < std::numeric_limits<double>::infinity())) return 0;
    largest = std::max(largest, size_of(x));
  }
  if (largest == 0 || (largest > 1e-100 && largest < 1e100)) return 1;
  return std::ldexp(1.0, -std::ilogb(largest));
}

// Multiplies a vector by a complex number of absolute value 1, such that its largest component becomes real.
void turn_phase(Complex128* x, int64_t n) {
  int64_t largest = 0;
  for (int64_t i = 1; i < n; ++i)
    if (square_of(x[i]) > square_of(x[largest])) largest = i;
  const double length = std::sqrt(square_of(x[largest]));
  if (length == 0) return;
  const Complex128 phase = conjugate(x[largest]) * (1 / length);
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] * phase;
  x[largest] = {length, 0};
}

template <class S, class C>
void write_vectors(const Schur<S>& schur, int64_t n, C* to) {
  using R = typename C::Real;
  const BackSubstitution<S> columns(schur, n);
  std::vector<Complex128> x(static_cast<size_t>(n));
  std::vector<double> real(static_cast<size_t>(n));
  const auto write = [&](int64_t k, bool conjugated) {
    for (int64_t i = 0; i < n; ++i)
      to[i * n + k] = {R(x[size_t(i)].re), R(conjugated ? -x[size_t(i)].im : x[size_t(i)].im)};
  };
  for (int64_t k = 0; k < n; ++k) {
    if (std::is_same_v<S, double> && schur.values[size_t(k)].im == 0) {
      if constexpr (std::is_same_v<S, double>) columns.vector(k, schur.values[size_t(k)].re, real.data());
      std::copy(real.begin(), real.end(), x.begin());
      write(k, false);
      continue;
    }
    columns.vector(k, schur.values[size_t(k)], x.data());
    turn_phase(x.data(), n);
    write(k, false);
    if (std::is_same_v<S, double>) write(++k, true);
  }
}

// Status of a matrix: success; an element is infinite or NaN; no convergence.
enum : int32_t { kDone, kNotFinite, kNotConverged };

template <class T, class C>
int32_t decompose(const T* a, int64_t n, C* values, C* vectors) {
  using S = std::conditional_t<is_complex_type<T>, Complex128, double>;
  using R = typename C::Real;
  std::vector<S> work(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n * n; ++i) work[size_t(i)] = widened<S>(a[i]);
  const double scale = scale_of(work);
  if (scale == 0) return kNotFinite;
  if (scale != 1)
    for (S& x : work) x = x * scale;
  const Schur<S> schur(std::move(work), n, vectors != nullptr);
  if (!schur.converged) return kNotConverged;
  for (int64_t i = 0; i < n; ++i)
    values[i] = {R(schur.values[size_t(i)].re / scale), R(schur.values[size_t(i)].im / scale)};
  if (vectors) write_vectors(schur, n, vectors);
  return kDone;
}

}  // namespace

GeneralEigen eigen_general(const Tensor& given, bool vectors) {
  NoRecording off;
  require_square("eigen_general", given);
  const Tensor a = contiguous(given);
  const int64_t n = a.size(-1), count = n ? a.numel() / (n * n) : 0;
  const Dtype type = is_complex(a.dtype()) ? a.dtype() : to_complex(a.dtype());
  const Tensor values = empty(joined(batch_shape(a), {n}), type), columns = vectors ? empty(a.shape(), type) : Tensor();
  std::atomic<int32_t> worst = kDone;
  dispatch_all(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (is_factored<T>) {
      using C = std::conditional_t<is_complex_type<T>, T, Complex<T>>;
      parallel_items(count, std::max<int64_t>(1, 2000 / (n * n * n + 1)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          C* const to = vectors ? columns.data<C>() + i * n * n : nullptr;
          if (const int32_t status = decompose(a.data<T>() + i * n * n, n, values.data<C>() + i * n, to))
            worst = status;
        }
      });
    }
  });
  return {values, columns, worst == kNotFinite, worst == kNotConverged};
}

}  // namespace flambeau
