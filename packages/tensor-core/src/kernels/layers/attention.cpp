// Operations on the rows of a block of attention scores.
#include <limits>

#include "flambeau/kernels/halves.h"
#include "flambeau/kernels/math.h"
#include "kernels/fold.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// Scales a row of scores, adds the mask to it, and returns the number of columns to process: the number of visible
// columns, rounded up to complete vectors, because exponentials of single elements would take longer. The scores of the
// columns that rounding adds become -infinity, so that their weights are 0. All later scores become 0.
template <class T>
int64_t mask_row(const Scores& s, int64_t r, T* row) {
  const int64_t n = s.causal ? minimum(s.columns, maximum(int64_t(0), s.visible + r)) : s.columns;
  const int64_t whole = (n + kScoresUnit - 1) / kScoresUnit * kScoresUnit;
  if (s.scale != 1)
    for (int64_t i = 0; i < n; ++i) row[i] *= T(s.scale);
  if (s.mask) {
    const T* mask = static_cast<const T*>(s.mask) + r * s.mask_row;
    for (int64_t i = 0; i < n; ++i) row[i] += mask[i];
  }
  for (int64_t i = n; i < whole; ++i) row[i] = -std::numeric_limits<T>::infinity();
  for (int64_t i = whole; i < s.columns; ++i) row[i] = T(0);
  return whole;
}

template <class T>
void exponentials(T* x, int64_t n, T shift) {
  for (int64_t i = 0; i < n; ++i) x[i] = exp(x[i] - shift);
}

// Rounds the weights of a row to bfloat16 while they are in the first-level cache.
void round_weights(bfloat16* to, const float* row, int64_t n) {
  auto* const words = reinterpret_cast<uint16_t*>(to);
  for (int64_t i = 0; i < n; ++i) words[i] = uint16_t(rounded(row[i]) >> 16);
}

template <class T>
void attend(const Scores& s, void* scores, void* weights, void* maxima_, void* sums_, void* out_, int64_t width) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  T *maxima = static_cast<T*>(maxima_), *sums = static_cast<T*>(sums_);
  for (int64_t r = 0; r < s.rows; ++r) {
    T* row = static_cast<T*>(scores) + r * s.row;
    const int64_t n = mask_row(s, r, row);
    const T before = maxima[r], now = n ? maximum(before, extreme_of_row<Larger>(row, n)) : before;
    if (now == kNone)  // no visible key up to now
      for (int64_t i = 0; i < n; ++i) row[i] = T(0);
    else
      exponentials(row, n, now);
    if constexpr (sizeof(T) == sizeof(float))
      if (weights) round_weights(static_cast<bfloat16*>(weights) + r * s.row, row, s.columns);
    if (now == kNone) continue;
    const T factor = before == kNone ? T(0) : T(std::exp(before - now));
    sums[r] = sums[r] * factor + fold<Add, T>(0, n, [row](int64_t i) __attribute__((always_inline)) { return row[i]; });
    maxima[r] = now;
    T* out = static_cast<T*>(out_) + r * width;
    if (factor != T(1))
      for (int64_t i = 0; i < width; ++i) out[i] *= factor;
  }
}

template <class T>
void attend_backward(const Scores& s, void* scores, void* products_, const void* logarithms, const void* means,
                     double scale) {
  const T factor = T(scale);
  for (int64_t r = 0; r < s.rows; ++r) {
    T *row = static_cast<T*>(scores) + r * s.row, *products = static_cast<T*>(products_) + r * s.row;
    const T shift = static_cast<const T*>(logarithms)[r], mean = static_cast<const T*>(means)[r];
    const int64_t n = mask_row(s, r, row);
    if (shift == -std::numeric_limits<T>::infinity())  // a row without visible keys
      for (int64_t i = 0; i < n; ++i) row[i] = T(0);
    else
      exponentials(row, n, shift);
    for (int64_t i = 0; i < s.columns; ++i) products[i] = row[i] * (products[i] - mean) * factor;
  }
}

}  // namespace

void fill_attention(NetworkTable& table) {
  table.attend[0] = attend<float>;
  table.attend[1] = attend<double>;
  table.attend_backward[0] = attend_backward<float>;
  table.attend_backward[1] = attend_backward<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
