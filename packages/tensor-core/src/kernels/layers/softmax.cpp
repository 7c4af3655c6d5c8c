// Softmax and log-softmax of rows and of columns, their derivatives, and log-sum-exp.
#include <cstring>
#include <limits>

#include "kernels/fold.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kUnroll = 16;  // elements of a row, or short rows, that are processed together

// Rows up to this length are processed in complete vectors, since exponentials of single elements would take longer.
constexpr int64_t kShort = 512;

// Computes exp(in - shift), padded with zeros to complete vectors. Returns the number of terms.
template <class T>
FLAMBEAU_INLINE int64_t short_exp(T* terms, const T* in, int64_t length, T shift) {
  const int64_t whole = (length + kUnroll - 1) / kUnroll * kUnroll;
  for (int64_t i = length; i < whole; ++i) terms[i] = -std::numeric_limits<T>::infinity();
  std::memcpy(terms, in, size_t(length) * sizeof(T));
  for (int64_t i = 0; i < whole; ++i) terms[i] = exp(terms[i] - shift);
  return whole;
}

// Returns the sum of exp(in - largest) over a short row, and stores the terms. The last vector of a row overlaps the
// previous one.
template <class T>
FLAMBEAU_INLINE T short_sum(T* terms, const T* in, int64_t length, T largest) {
  T sums[kUnroll] = {};
  int64_t whole = length / kUnroll * kUnroll;
  if (whole == 0) {
    whole = short_exp(terms, in, length, largest);
  } else {
    for (int64_t i = 0; i < whole; ++i) terms[i] = exp(in[i] - largest);
    if (whole < length) {
      const int64_t last = length - kUnroll;
      T rest[kUnroll];
      for (int64_t j = 0; j < kUnroll; ++j) rest[j] = exp(in[last + j] - largest);
      for (int64_t j = 0; j < kUnroll; ++j) terms[last + j] = rest[j];
      for (int64_t j = 0; j < kUnroll; ++j) sums[j] = last + j < whole ? T(0) : rest[j];
    }
  }
  for (int64_t i = 0; i < whole; i += kUnroll) join_arrays<Add, kUnroll>(sums, terms + i);
  halve_lanes<Add, kUnroll, 1>(sums);
  return sums[0];
}

template <class T>
void softmax(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T* __restrict in = reinterpret_cast<const T*>(in_bytes);
  T terms[kShort];
  for (int64_t r = 0; r < rows; ++r, in += length, out += length) {
    const T largest = extreme_of_row<Larger>(in, length);
    if (length <= kShort) {
      const T scale = T(1) / short_sum(terms, in, length, largest);
      for (int64_t i = 0; i < length; ++i) out[i] = terms[i] * scale;
      continue;
    }
    const T total = fold<Add, T>(0, length, [in, out, largest](int64_t i) __attribute__((always_inline)) {
      return out[i] = exp(in[i] - largest);
    });
    const T scale = T(1) / total;
    for (int64_t i = 0; i < length; ++i) out[i] *= scale;
  }
}

template <class T>
void log_softmax(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T* __restrict in = reinterpret_cast<const T*>(in_bytes);
  T terms[kShort];
  for (int64_t r = 0; r < rows; ++r, in += length, out += length) {
    const T largest = extreme_of_row<Larger>(in, length);
    const T total = length <= kShort ? short_sum(terms, in, length, largest)
                                     : fold<Add, T>(0, length, [in, largest](int64_t i) __attribute__((always_inline)) {
                                         return exp(in[i] - largest);
                                       });
    const T shift = std::log(total);
    for (int64_t i = 0; i < length; ++i) out[i] = (in[i] - largest) - shift;
  }
}

constexpr int64_t kTile = 128;     // columns that are processed together; they stay in the cache for the next pass
constexpr int64_t kTileRows = 64;  // rows that are summed before they are added to the total

// Computes the maximum and the sum of exp(x - maximum) of each column. Rows are `inner` elements apart. keep(i, term)
// stores a term. If the columns do not fill vectors, the last vector overlaps the previous one, and its terms are
// stored after all other terms of the row.
template <class T, class Keep>
FLAMBEAU_INLINE void column_sums(T* largest, T* total, const T* in, int64_t length, int64_t inner, int64_t count,
                                 Keep keep) {
  for (int64_t i = 0; i < count; ++i) {
    largest[i] = in[i];
    total[i] = T(0);
  }
  for (int64_t k = 1; k < length; ++k)
    for (int64_t i = 0; i < count; ++i) largest[i] = maximum(largest[i], in[k * inner + i]);
  const int64_t whole = count < kUnroll ? count : count / kUnroll * kUnroll, last = count - kUnroll;
  for (int64_t row = 0; row < length; row += kTileRows) {
    T partial[kTile] = {}, sums[kUnroll] = {}, rest[kUnroll];
    const int64_t stop = row + kTileRows < length ? row + kTileRows : length;
    for (int64_t k = row; k < stop; ++k) {
      if (whole < count)
        for (int64_t j = 0; j < kUnroll; ++j) sums[j] += rest[j] = exp(in[k * inner + last + j] - largest[last + j]);
#pragma GCC ivdep
      for (int64_t i = 0; i < whole; ++i) {
        const T term = exp(in[k * inner + i] - largest[i]);
        partial[i] += term;
        keep(k * inner + i, term);
      }
      if (whole < count)
        for (int64_t j = 0; j < kUnroll; ++j) keep(k * inner + last + j, rest[j]);
    }
    for (int64_t i = whole; i < count; ++i) partial[i] = sums[i - last];
    for (int64_t i = 0; i < count; ++i) total[i] += partial[i];
  }
}
template <class T>
void softmax_columns(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    T* out = reinterpret_cast<T*>(out_bytes) + first;
    const T* in = reinterpret_cast<const T*>(in_bytes) + first;
    T largest[kTile], total[kTile];
    column_sums(largest, total, in, length, inner, count,
                [out](int64_t i, T term) __attribute__((always_inline)) { out[i] = term; });
    for (int64_t i = 0; i < count; ++i) total[i] = T(1) / total[i];
    for (int64_t k = 0; k < length; ++k)
#pragma GCC ivdep
      for (int64_t i = 0; i < count; ++i) out[k * inner + i] *= total[i];
  }
}
template <class T>
void log_softmax_columns(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    T* out = reinterpret_cast<T*>(out_bytes) + first;
    const T* in = reinterpret_cast<const T*>(in_bytes) + first;
    T largest[kTile], total[kTile];
    column_sums(largest, total, in, length, inner, count, [](int64_t, T) __attribute__((always_inline)) {});
    for (int64_t i = 0; i < count; ++i) total[i] = log(total[i]);
    for (int64_t k = 0; k < length; ++k)
#pragma GCC ivdep
      for (int64_t i = 0; i < count; ++i) out[k * inner + i] = (in[k * inner + i] - largest[i]) - total[i];
  }
}

template <class T>
void softmax_backward(char* out_bytes, const char* grad_bytes, const char* result_bytes, int64_t rows, int64_t length) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T* __restrict grad = reinterpret_cast<const T*>(grad_bytes);
  const T* __restrict result = reinterpret_cast<const T*>(result_bytes);
  for (int64_t r = 0; r < rows; ++r, grad += length, result += length, out += length) {
    const T dot =
        fold<Add, T>(0, length, [=](int64_t i) __attribute__((always_inline)) { return grad[i] * result[i]; });
    for (int64_t i = 0; i < length; ++i) out[i] = (grad[i] - dot) * result[i];
  }
}

template <class T>
void log_softmax_backward(char* out_bytes, const char* grad_bytes, const char* result_bytes, int64_t rows,
                          int64_t length) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T* __restrict grad = reinterpret_cast<const T*>(grad_bytes);
  const T* __restrict result = reinterpret_cast<const T*>(result_bytes);
  T terms[kShort];
  for (int64_t r = 0; r < rows; ++r, grad += length, result += length, out += length) {
    const T total = fold<Add, T>(0, length, [=](int64_t i) __attribute__((always_inline)) { return grad[i]; });
    if (length <= kShort) {
      short_exp(terms, result, length, T(0));
      for (int64_t i = 0; i < length; ++i) out[i] = grad[i] - terms[i] * total;
    } else {
      for (int64_t i = 0; i < length; ++i) out[i] = grad[i] - exp(result[i]) * total;
    }
  }
}

// Computes the results of kUnroll rows that are too short to fill vectors, one row in each lane.
template <class T>
void logsumexp_side_by_side(T* out, const T* in, int64_t length) {
  T largest[kUnroll], centre[kUnroll], total[kUnroll] = {};
  for (int64_t j = 0; j < kUnroll; ++j) largest[j] = in[j * length];
  for (int64_t k = 1; k < length; ++k) {
    T values[kUnroll];
    for (int64_t j = 0; j < kUnroll; ++j) values[j] = in[j * length + k];
    join_arrays<Larger, kUnroll>(largest, values);
  }
  for (int64_t j = 0; j < kUnroll; ++j) centre[j] = isfinite(largest[j]) ? largest[j] : T(0);
  for (int64_t k = 0; k < length; ++k)
    for (int64_t j = 0; j < kUnroll; ++j) total[j] += exp(in[j * length + k] - centre[j]);
  for (int64_t j = 0; j < kUnroll; ++j) out[j] = log(total[j]) + centre[j];
}

template <class T>
void logsumexp(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  int64_t r = 0;
  for (; length < 32 && r + kUnroll <= rows; r += kUnroll, in += kUnroll * length)
    logsumexp_side_by_side(out + r, in, length);
  for (; r < rows; ++r, in += length) {
    const T largest = extreme_of_row<Larger>(in, length);
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
  table.softmax_columns[I] = softmax_columns<T>;
  table.log_softmax_columns[I] = log_softmax_columns<T>;
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
