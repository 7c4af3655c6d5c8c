// The rows of a block of attention scores.
#include <limits>

#include "kernels/math.h"
#include "kernels/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kLanes = 16;

template <class T>
T largest(const T* x, int64_t n) {
  T lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = -std::numeric_limits<T>::infinity();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = maximum(lanes[l], x[i + l]);
  for (; i < n; ++i) lanes[0] = maximum(lanes[0], x[i]);
  for (int64_t l = 1; l < kLanes; ++l) lanes[0] = maximum(lanes[0], lanes[l]);
  return lanes[0];
}

// x[i] = exp(x[i] - shift), and their sum.
template <class T>
T exponentials(T* x, int64_t n, T shift) {
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) {
      x[i + l] = exp(x[i + l] - shift);
      lanes[l] += x[i + l];
    }
  for (; i < n; ++i) {
    x[i] = exp(x[i] - shift);
    lanes[0] += x[i];
  }
  T total = 0;
  for (int64_t l = 0; l < kLanes; ++l) total += lanes[l];
  return total;
}

// Adds the mask to a row and returns how many of its columns are visible; the others become `hidden`.
template <class T>
int64_t mask_row(const Scores& s, int64_t r, T* row, T hidden) {
  const int64_t n = s.causal ? minimum(s.columns, maximum(int64_t(0), s.visible + r)) : s.columns;
  if (s.mask) {
    const T* mask = static_cast<const T*>(s.mask) + r * s.mask_row;
    for (int64_t i = 0; i < n; ++i) row[i] += mask[i];
  }
  for (int64_t i = n; i < s.columns; ++i) row[i] = hidden;
  return n;
}

template <class T>
void attend(const Scores& s, void* scores, void* maxima_, void* sums_, void* out_, int64_t width) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  T *maxima = static_cast<T*>(maxima_), *sums = static_cast<T*>(sums_);
  for (int64_t r = 0; r < s.rows; ++r) {
    T* row = static_cast<T*>(scores) + r * s.row;
    const int64_t n = mask_row(s, r, row, T(0));
    const T before = maxima[r], now = maximum(before, largest(row, n));
    if (now == kNone) {  // nothing to see so far
      for (int64_t i = 0; i < n; ++i) row[i] = T(0);
      continue;
    }
    const T factor = before == kNone ? T(0) : T(std::exp(before - now));
    sums[r] = sums[r] * factor + exponentials(row, n, now);
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
    const int64_t n = mask_row(s, r, row, T(0));
    if (shift == -std::numeric_limits<T>::infinity())  // a row that sees nothing
      for (int64_t i = 0; i < n; ++i) row[i] = T(0);
    else
      for (int64_t i = 0; i < n; ++i) row[i] = exp(row[i] - shift);
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
