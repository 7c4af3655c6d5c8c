// Softmax and its logarithm, row by row, and their derivatives.
#include <limits>

#include "kernels/fold.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kSide = 16;  // short rows reduced side by side

template <class T>
void softmax(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  for (int64_t r = 0; r < rows; ++r, in += length, out += length) {
    const T largest = fold<Larger, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    const T total = fold<Add, T>(0, length, [in, out, largest](int64_t i) __attribute__((always_inline)) {
      return out[i] = exp(in[i] - largest);
    });
    const T scale = T(1) / total;
    for (int64_t i = 0; i < length; ++i) out[i] *= scale;
  }
}

template <class T>
void log_softmax(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  for (int64_t r = 0; r < rows; ++r, in += length, out += length) {
    const T largest = fold<Larger, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    const T total = fold<Add, T>(
        0, length, [in, largest](int64_t i) __attribute__((always_inline)) { return exp(in[i] - largest); });
    const T shift = std::log(total);
    for (int64_t i = 0; i < length; ++i) out[i] = (in[i] - largest) - shift;
  }
}

template <class T>
void softmax_backward(char* out_bytes, const char* grad_bytes, const char* result_bytes, int64_t rows, int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T *grad = reinterpret_cast<const T*>(grad_bytes), *result = reinterpret_cast<const T*>(result_bytes);
  for (int64_t r = 0; r < rows; ++r, grad += length, result += length, out += length) {
    const T dot =
        fold<Add, T>(0, length, [=](int64_t i) __attribute__((always_inline)) { return grad[i] * result[i]; });
    for (int64_t i = 0; i < length; ++i) out[i] = (grad[i] - dot) * result[i];
  }
}

template <class T>
void log_softmax_backward(char* out_bytes, const char* grad_bytes, const char* result_bytes, int64_t rows,
                          int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T *grad = reinterpret_cast<const T*>(grad_bytes), *result = reinterpret_cast<const T*>(result_bytes);
  for (int64_t r = 0; r < rows; ++r, grad += length, result += length, out += length) {
    const T total = fold<Add, T>(0, length, [=](int64_t i) __attribute__((always_inline)) { return grad[i]; });
    for (int64_t i = 0; i < length; ++i) out[i] = grad[i] - exp(result[i]) * total;
  }
}

// Rows too short for vectors of their own: side by side.
template <class T>
void logsumexp_side_by_side(T* out, const T* in, int64_t length) {
  T largest[kSide], centre[kSide], total[kSide] = {};
  for (int64_t j = 0; j < kSide; ++j) largest[j] = in[j * length];
  for (int64_t k = 1; k < length; ++k) {
    T values[kSide];
    for (int64_t j = 0; j < kSide; ++j) values[j] = in[j * length + k];
    join_arrays<Larger, kSide>(largest, values);
  }
  for (int64_t j = 0; j < kSide; ++j) centre[j] = isfinite(largest[j]) ? largest[j] : T(0);
  for (int64_t k = 0; k < length; ++k)
    for (int64_t j = 0; j < kSide; ++j) total[j] += exp(in[j * length + k] - centre[j]);
  for (int64_t j = 0; j < kSide; ++j) out[j] = log(total[j]) + centre[j];
}

template <class T>
void logsumexp(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  int64_t r = 0;
  for (; length < 32 && r + kSide <= rows; r += kSide, in += kSide * length)
    logsumexp_side_by_side(out + r, in, length);
  for (; r < rows; ++r, in += length) {
    const T largest = fold<Larger, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    const T centre = isfinite(largest) ? largest : T(0);
    const T total =
        fold<Add, T>(0, length, [in, centre](int64_t i) __attribute__((always_inline)) { return exp(in[i] - centre); });
    out[r] = log(total) + centre;
  }
}

template <class T, int I>
void fill_type(Table& table) {
  table.softmax[I] = softmax<T>;
  table.log_softmax[I] = log_softmax<T>;
  table.softmax_backward[I] = softmax_backward<T>;
  table.log_softmax_backward[I] = log_softmax_backward<T>;
  table.logsumexp[I] = logsumexp<T>;
}

}  // namespace

void fill_softmax(Table& table) {
  fill_type<float, 0>(table);
  fill_type<double, 1>(table);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
