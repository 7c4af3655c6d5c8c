// Discrete Fourier transforms.
//
// Note [Transforms]
// A transform is linear, so its derivative is its adjoint: the transform in the other direction with the same factor.
// Half of a spectrum represents both halves. Between real values and half spectra, the adjoint therefore multiplies the
// frequencies that count twice by two or one half.
//
// Note [Long transforms]
// The kernels compute many transforms of one length at a time (Note [Fourier transforms]). A single long transform of
// length n1 * n2 becomes n2 transforms of length n1, a multiplication by roots of unity, and n1 transforms of length n2
// (Bailey 1990, FFTs in external or hierarchical memory). A transform whose length has a large prime factor becomes a
// convolution of greater length (Bluestein 1970, A linear filtering approach to the computation of discrete Fourier
// transform).
#include <cmath>

#include "flambeau/cuda/array_library.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"
#include "operators/fourier/fourier_plans.h"

namespace flambeau {

namespace {

using kernels::FourierJob;
using kernels::FourierKind;
using kernels::FourierSide;
using kernels::scratch;
using kernels::Scratch;

// Length of the longest transform that a kernel computes at once; its buffers stay in the second-level cache.
constexpr int64_t kLongest = 4096;
constexpr int64_t kShortest = 64;    // shortest length for which a decomposition is faster
constexpr int64_t kGrain = 1 << 14;  // number of elements below which a second thread costs more than it gains

bool are_few(int64_t transforms, int64_t n, int64_t lanes) { return 2 * transforms <= lanes && n >= kShortest; }

// Runs each transform by itself if its elements are contiguous and this is faster. Returns false otherwise.
template <class T>
bool run_single(FourierJob job, int64_t transforms, int64_t lanes) {
  const auto contiguous = [](const FourierSide& side) { return side.step == 1 && side.inner == 1; };
  const int64_t n = job.plan.length;
  const bool packed = job.kind == FourierKind::Complex || job.length % 2 == 0;
  if (!contiguous(job.in) || !contiguous(job.out) || !packed || n < kShortest || n > kLongest) return false;
  const auto plan = single_plan_of<T>(n, lanes);
  if (!plan->efficient && !are_few(transforms, n, lanes)) return false;
  job.columns = *plan->columns;
  job.rows = *plan->rows;
  job.twists = plan->twists.bytes();
  const int64_t padded1 = job.columns.length + lanes, padded2 = job.rows.length + lanes;
  const size_t bytes = size_t(2 * padded1 * padded2 + 4 * lanes * (padded1 + padded2) + 2 * n + 8 * lanes) * sizeof(T);
  parallel_items(transforms, std::max<int64_t>(1, kGrain / job.length), [&](int64_t begin, int64_t end) {
    kernels::table().fourier_single[std::is_same_v<T, double>](job, begin, end, scratch(Scratch::Fourier, bytes));
  });
  return true;
}

template <class T>
void run(const FourierJob& job, int64_t transforms) {
  constexpr int kPrecision = std::is_same_v<T, double>;
  const int64_t lanes = kernels::table().fourier_lanes[kPrecision];
  if (run_single<T>(job, transforms, lanes)) return;
  const int64_t groups = (transforms + lanes - 1) / lanes;
  const size_t bytes = size_t(4 * (job.length + 1) * lanes) * sizeof(T);
  parallel_items(groups, std::max<int64_t>(1, kGrain / (job.length * lanes)), [&](int64_t begin, int64_t end) {
    kernels::table().fourier[kPrecision](job, begin * lanes, std::min(transforms, end * lanes),
                                         scratch(Scratch::Fourier, bytes));
  });
}

// Returns the largest divisor of n that is at most sqrt(n).
int64_t largest_factor(int64_t n) {
  int64_t best = 1;
  for (int64_t d = int64_t(std::sqrt(double(n))); d > 1; --d)
    if (n % d == 0) {
      best = d;
      break;
    }
  return best;
}

// Computes one transform of length n = first * second, whose elements are `step` apart in input and output.
// See Note [Long transforms].
template <class T>
void long_transform(char* in, char* out, int64_t n, int64_t first, int64_t step, bool inverse, double scale) {
  const int64_t second = n / first;
  const Tensor between = empty({2 * n}, dtype_of<T>());
  const auto twist = twist_roots_of<T>(n);
  const auto plan1 = plan_of<T>(first), plan2 = plan_of<T>(second);
  const FourierSide whole_in = step == 1 ? FourierSide{in, second, 0, second} : FourierSide{in, 1, step, second * step};
  const FourierSide whole_out = step == 1 ? FourierSide{out, first, 0, first} : FourierSide{out, 1, step, first * step};
  FourierJob columns{FourierKind::Complex, *plan1, first, whole_in, {between.bytes(), second, 0, second}, inverse, 1};
  columns.twist = n;
  columns.fine = twist->fine.data();
  columns.coarse = twist->coarse.data();
  columns.fine_bits = twist->fine_bits;
  run<T>(columns, second);
  run<T>({FourierKind::Complex, *plan2, second, {between.bytes(), 1, second, 1}, whole_out, inverse, scale}, first);
}

// Computes transforms along the middle dimension of (outer, n, inner). `n` has only small prime factors.
template <class T>
void transform_middle(char* in, char* out, int64_t outer, int64_t n, int64_t inner, bool inverse, double scale) {
  const int64_t transforms = outer * inner, lanes = kernels::table().fourier_lanes[std::is_same_v<T, double>];
  if (n > kLongest || (inner > 1 && are_few(transforms, n, lanes)))
    if (const int64_t first = largest_factor(n); first > 1) {
      for (int64_t t = 0; t < transforms; ++t) {
        const int64_t at = (t / inner * n * inner + t % inner) * int64_t(2 * sizeof(T));
        long_transform<T>(in + at, out + at, n, first, inner, inverse, scale);
      }
      return;
    }
  const auto plan = plan_of<T>(n);
  run<T>(
      {FourierKind::Complex, *plan, n, {in, inner, n * inner, inner}, {out, inner, n * inner, inner}, inverse, scale},
      transforms);
}

template <class F>
decltype(auto) by_precision(Dtype dtype, F&& f) {
  return to_real(dtype) == Dtype::float64 ? f(double()) : f(float());
}

int64_t product_between(const Shape& shape, int64_t begin, int64_t end) {
  int64_t n = 1;
  for (int64_t i = begin; i < end; ++i) n *= shape[i];
  return n;
}

// Reshapes a vector so that it broadcasts along dimension `dim` of a tensor with `dims` dimensions.
Tensor along(const Tensor& vector, int64_t dim, int64_t dims) {
  Shape shape;
  for (int64_t i = 0; i < dims; ++i) shape.push_back(i == dim ? vector.numel() : 1);
  return view(vector, shape);
}

Tensor padded(const Tensor& t, int64_t dim, int64_t size) {
  Shape missing = t.shape();
  missing[dim] = size - missing[dim];
  return missing[dim] > 0 ? cat({t, zeros(missing, t.dtype())}, dim) : t;
}

Tensor complex_along(const Tensor& t, int64_t dim, bool inverse, double scale);

struct Chirp {  // the factors of Bluestein's algorithm for one length
  Tensor values, spectrum;
};

Chirp chirp_of(int64_t n, int64_t padded_length, Dtype dtype) {
  const Tensor values = empty({n}, dtype), kernel = zeros({padded_length}, dtype);
  by_precision(dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> roots = roots_of_unity<T>(2 * n, 1, 2 * n);
    T *v = reinterpret_cast<T*>(values.bytes()), *k = reinterpret_cast<T*>(kernel.bytes());
    for (int64_t j = 0; j < n; ++j) {
      const int64_t at = int64_t(__int128(j) * j % (2 * n));
      for (const int64_t index : {j, (padded_length - j) % padded_length}) {
        k[2 * index] = roots[size_t(2 * at)];
        k[2 * index + 1] = -roots[size_t(2 * at + 1)];
      }
      v[2 * j] = roots[size_t(2 * at)];
      v[2 * j + 1] = roots[size_t(2 * at + 1)];
    }
  });
  return {values, complex_along(kernel, 0, false, 1)};
}

Tensor bluestein(const Tensor& t, int64_t dim, bool inverse, double scale) {
  const int64_t n = t.size(dim);
  int64_t length = 2 * n - 1;
  while (!smooth(length)) ++length;
  const auto make = [&] { return chirp_of(n, length, t.dtype()); };
  struct SingleChirp : Chirp {};
  struct DoubleChirp : Chirp {};
  const Chirp chirp = t.dtype() == Dtype::complex64
                          ? Chirp(*cached_by_length<SingleChirp>(n, [&] { return SingleChirp{make()}; }))
                          : Chirp(*cached_by_length<DoubleChirp>(n, [&] { return DoubleChirp{make()}; }));
  const Tensor values = along(chirp.values, dim, t.dim()), spectrum = along(chirp.spectrum, dim, t.dim());
  const Tensor wave = padded((inverse ? conj(t) : t) * values, dim, length);
  const Tensor product = complex_along(wave, dim, false, 1) * spectrum;
  const Tensor sum = narrow(complex_along(product, dim, true, scale / double(length)), dim, 0, n) * values;
  return contiguous(inverse ? conj(sum) : sum);
}

// Computes transforms of a contiguous complex tensor along one dimension.
Tensor complex_along(const Tensor& t, int64_t dim, bool inverse, double scale) {
  const int64_t n = t.size(dim);
  if (t.numel() == 0 || t.is_meta()) return empty(t.shape(), t.dtype());
  if (!smooth(n)) return bluestein(t, dim, inverse, scale);
  const Tensor out = empty(t.shape(), t.dtype());
  const int64_t outer = product_between(t.shape(), 0, dim), inner = product_between(t.shape(), dim + 1, t.dim());
  by_precision(t.dtype(), [&](auto zero) {
    transform_middle<decltype(zero)>(t.bytes(), out.bytes(), outer, n, inner, inverse, scale);
  });
  return out;
}

// Computes the transform with the array library and then multiplies it by `scale`. Returns an undefined tensor if the
// library does not support it.
Tensor by_library(const char* name, const Tensor& t, std::vector<int64_t> numbers, double scale) {
  const Tensors found = cuda::by_array_library(name, t, numbers);
  if (found.empty()) return {};
  return scale == 1 ? contiguous(found[0]) : contiguous(found[0]) * Scalar(scale);
}

Tensor complex_over(Tensor t, const Shape& dims, bool inverse, double scale) {
  t = contiguous(t);
  if (dims.empty()) return t;
  std::vector<int64_t> numbers{inverse};
  numbers.insert(numbers.end(), dims.begin(), dims.end());
  if (const Tensor found = by_library("fft", t, numbers, scale); found.defined()) return found;
  for (size_t i = dims.size(); i-- > 0;) t = complex_along(t, dims[i], inverse, i == 0 ? scale : 1);
  return t;
}

// Returns true if a kernel for real signals computes the transforms. Otherwise the signals are converted to complex
// numbers.
bool real_kernel(int64_t n, int64_t transforms, int64_t inner) {
  const bool single = inner == 1 && n % 2 == 0;
  return n <= (single ? 2 * kLongest : transforms > 2 ? kLongest : 4 * kShortest) && smooth(n);
}

Tensor half_along(const Tensor& t, int64_t dim, bool inverse, double scale) {
  const int64_t n = t.size(dim), half = n / 2 + 1;
  Shape shape = t.shape();
  shape[dim] = half;
  if (t.numel() == 0 || t.is_meta()) return empty(shape, to_complex(t.dtype()));
  if (const Tensor found = by_library("rfft", t, {inverse, dim}, scale); found.defined()) return found;
  const int64_t outer = product_between(t.shape(), 0, dim), inner = product_between(t.shape(), dim + 1, t.dim());
  if (!real_kernel(n, outer * inner, inner)) {
    const Tensor whole = complex_along(to(t, to_complex(t.dtype())), dim, inverse, scale);
    const Tensor found = contiguous(narrow(whole, dim, 0, half)), imaginary = imag(found);
    fill_(select(imaginary, dim, 0), Scalar(0.0));  // the frequencies that are their own opposites are real
    if (n % 2 == 0) fill_(select(imaginary, dim, -1), Scalar(0.0));
    return found;
  }
  const Tensor out = empty(shape, to_complex(t.dtype()));
  by_precision(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto plan = plan_of<T>(n % 2 ? n : n / 2);
    const auto roots = half_roots_of<T>(n);
    const FourierSide signal{t.bytes(), inner, n * inner, inner}, spectrum{out.bytes(), inner, half * inner, inner};
    run<T>({FourierKind::RealToHalf, *plan, n, signal, spectrum, inverse, scale, roots->values.data()}, outer * inner);
  });
  return out;
}

Shape all_but_last(const Shape& dims) { return Shape(dims.begin(), dims.end() - 1); }

// Returns the complete spectrum of a real signal for the half of it along the last of `dims`. Opposite frequencies are
// exactly conjugate.
Tensor whole_spectrum(const Tensor& half, const Shape& dims, int64_t n) {
  const int64_t mirrored = n - half.size(dims.back());
  if (mirrored == 0) return half;
  Tensor opposite = flip(narrow(half, dims.back(), 1, mirrored), dims);
  Shape steps;
  for (size_t i = 1; i < dims.size(); ++i) steps.push_back(1);  // frequency 0 is its own opposite
  if (!steps.empty()) opposite = roll(opposite, steps, all_but_last(dims));
  return cat({half, conj(opposite)}, dims.back());
}

Tensor real_along(const Tensor& t, int64_t dim, int64_t n, bool inverse, double scale) {
  const int64_t half = t.size(dim);
  Shape shape = t.shape();
  shape[dim] = n;
  if (t.numel() == 0 || t.is_meta()) return empty(shape, to_real(t.dtype()));
  if (const Tensor found = by_library("irfft", t, {inverse, dim, n}, scale); found.defined()) return found;
  const int64_t outer = product_between(t.shape(), 0, dim), inner = product_between(t.shape(), dim + 1, t.dim());
  if (!real_kernel(n, outer * inner, inner))
    return contiguous(real(complex_along(whole_spectrum(t, {dim}, n), dim, inverse, scale)));
  const Tensor out = empty(shape, to_real(t.dtype()));
  by_precision(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto plan = plan_of<T>(n % 2 ? n : n / 2);
    const auto roots = half_roots_of<T>(n);
    const FourierSide spectrum{t.bytes(), inner, half * inner, inner}, signal{out.bytes(), inner, n * inner, inner};
    run<T>({FourierKind::HalfToReal, *plan, n, spectrum, signal, inverse, scale, roots->values.data()}, outer * inner);
  });
  return out;
}

// Multiplies the frequencies of a half spectrum that count twice by `weight`.
Tensor weighted(const Tensor& half, int64_t dim, int64_t n, double weight) {
  const Tensor weights = full({half.size(dim)}, Scalar(weight), to_real(half.dtype()));
  fill_(select(weights, 0, 0), Scalar(1.0));
  if (n % 2 == 0) fill_(select(weights, 0, -1), Scalar(1.0));
  return half * along(weights, dim, half.dim());
}

}  // namespace

Tensor fourier_complex(const Tensor& t, const Shape& dims, bool inverse, double scale) {
  Tensor out;
  {
    NoRecording off;
    out = dims.empty() ? clone(t) : complex_over(t, dims, inverse, scale);
  }
  if (recording(t))
    record("FftC2C", out, {&t}, {},
           [=](const Context& c) { c.set(0, fourier_complex(c.gradient(), dims, !inverse, scale)); });
  return out;
}

Tensor fourier_real(const Tensor& t, const Shape& dims, bool inverse, double scale) {
  Tensor out;
  {
    NoRecording off;
    out = whole_spectrum(fourier_real_to_half(t, dims, inverse, scale), dims, t.size(dims.back()));
  }
  if (recording(t))
    record("FftR2C", out, {&t}, {},
           [=](const Context& c) { c.set(0, contiguous(real(fourier_complex(c.gradient(), dims, !inverse, scale)))); });
  return out;
}

Tensor fourier_real_to_half(const Tensor& t, const Shape& dims, bool inverse, double scale) {
  const int64_t last = dims.back(), n = t.size(last);
  Tensor out;
  {
    NoRecording off;
    const Tensor half = half_along(contiguous(t), last, inverse, scale);
    out = complex_over(half, all_but_last(dims), inverse, 1);
  }
  if (recording(t))
    record("FftR2C", out, {&t}, {}, [=](const Context& c) {
      c.set(0, fourier_half_to_real(weighted(c.gradient(), last, n, 0.5), dims, n, !inverse, scale));
    });
  return out;
}

Tensor fourier_half_to_real(const Tensor& t, const Shape& dims, int64_t n, bool inverse, double scale) {
  const int64_t last = dims.back();
  Tensor out;
  {
    NoRecording off;
    out = real_along(complex_over(t, all_but_last(dims), inverse, 1), last, n, inverse, scale);
  }
  if (recording(t))
    record("FftC2R", out, {&t}, {}, [=](const Context& c) {
      c.set(0, weighted(fourier_real_to_half(c.gradient(), dims, !inverse, scale), last, n, 2));
    });
  return out;
}

}  // namespace flambeau
