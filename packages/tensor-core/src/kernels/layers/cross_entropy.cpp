// Log-sum-exp and softmax over classes for losses, and the steps of CTC. The scores of the classes are contiguous or,
// if there are inner dimensions, in columns.
#include <limits>

#include "flambeau/kernels/math.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kLanes = 32, kTile = 128;

template <class T>
void row_log_sum_exp(const T* in, int64_t length, T* out_largest, T* out) {
  T lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = -std::numeric_limits<T>::infinity();
  int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = maximum(lanes[l], in[i + l]);
  for (; i < length; ++i) lanes[0] = maximum(lanes[0], in[i]);
  T largest = lanes[0];
  for (int64_t l = 1; l < kLanes; ++l) largest = maximum(largest, lanes[l]);
  const T shift = isinf(largest) ? T(0) : largest;
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = T(0);
  for (i = 0; i + kLanes <= length; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += exp(in[i + l] - shift);
  for (; i < length; ++i) lanes[0] += exp(in[i] - shift);
  T total = 0;
  for (int64_t l = 0; l < kLanes; ++l) total += lanes[l];
  *out_largest = shift;
  *out = T(std::log(total));
}

template <class T>
void log_sum_exp(const char* in_bytes, int64_t length, int64_t inner, int64_t width, char* largest_bytes,
                 char* out_bytes) {
  const T* in = reinterpret_cast<const T*>(in_bytes);
  T *out = reinterpret_cast<T*>(out_bytes), *largest_out = reinterpret_cast<T*>(largest_bytes);
  if (inner == 1) return row_log_sum_exp(in, length, largest_out, out);
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    T largest[kTile], total[kTile];
    for (int64_t i = 0; i < count; ++i) {
      largest[i] = -std::numeric_limits<T>::infinity();
      total[i] = T(0);
    }
    for (int64_t k = 0; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) largest[i] = maximum(largest[i], in[k * inner + first + i]);
    for (int64_t i = 0; i < count; ++i) largest[i] = isinf(largest[i]) ? T(0) : largest[i];
    for (int64_t k = 0; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) total[i] += exp(in[k * inner + first + i] - largest[i]);
    for (int64_t i = 0; i < count; ++i) {
      largest_out[first + i] = largest[i];
      out[first + i] = log(total[i]);
    }
  }
}

template <class T>
void scaled_softmax(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width,
                    const char* logarithms, const char* factors) {
  const T *in = reinterpret_cast<const T*>(in_bytes), *shift = reinterpret_cast<const T*>(logarithms),
          *factor = reinterpret_cast<const T*>(factors);
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  if (inner == 1) {
    const T s = shift[0], f = factor[0];
    for (int64_t k = 0; k < length; ++k) out[k] = exp(in[k] - s) * f;
    return;
  }
  for (int64_t k = 0; k < length; ++k)
    for (int64_t i = 0; i < width; ++i) out[k * inner + i] = exp(in[k * inner + i] - shift[i]) * factor[i];
}

template <class T>
void ctc_step(const char* before_bytes, const uint8_t* skip, const char* own_bytes, char* now_bytes, int64_t states) {
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  const T *before = reinterpret_cast<const T*>(before_bytes), *own = reinterpret_cast<const T*>(own_bytes);
  T* __restrict now = reinterpret_cast<T*>(now_bytes);
  for (int64_t s = 0; s < states; ++s) {
    const T a = before[s], b = before[s - 1], c = skip[s] ? before[s - 2] : kNever;
    const T largest = maximum(a, maximum(b, c)), shift = largest == kNever ? T(0) : largest;
    const T total = exp(a - shift) + exp(b - shift) + exp(c - shift);
    now[s] = largest == kNever ? kNever : shift + log(total) + own[s];
  }
}

template <class T>
void ctc_shares(const char* alpha_bytes, const char* beta_bytes, const char* own_bytes, char* out_bytes, int64_t states,
                double loss) {
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  const T *alpha = reinterpret_cast<const T*>(alpha_bytes), *beta = reinterpret_cast<const T*>(beta_bytes),
          *own = reinterpret_cast<const T*>(own_bytes);
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  for (int64_t s = 0; s < states; ++s) {
    const T way = alpha[s] + beta[s];
    out[s] = way == kNever ? T(0) : exp(way + T(loss) - own[s]);
  }
}

}  // namespace

void fill_cross_entropy(NetworkTable& table) {
  table.log_sum_exp[0] = log_sum_exp<float>;
  table.log_sum_exp[1] = log_sum_exp<double>;
  table.scaled_softmax[0] = scaled_softmax<float>;
  table.scaled_softmax[1] = scaled_softmax<double>;
  table.ctc_shares[0] = ctc_shares<float>;
  table.ctc_shares[1] = ctc_shares<double>;
  table.ctc_step[0] = ctc_step<float>;
  table.ctc_step[1] = ctc_step<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
