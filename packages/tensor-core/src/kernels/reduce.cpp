// Reductions over a fixed tree: the order of the additions depends on the length alone, not on the instruction set.
#include <limits>

#include "kernels/math.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kLanes = 64;     // independent partial results along a row
constexpr int64_t kLeaf = 16384;   // elements below which a row is not split
constexpr int64_t kTile = 256;     // columns accumulated together
constexpr int64_t kTileRows = 64;  // rows added up before they join the total

struct Sum {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return a + b;
  }
  template <class T>
  static T identity() {
    return T(0);
  }
};
struct Prod {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return a * b;
  }
  template <class T>
  static T identity() {
    return T(1);
  }
};
struct Max {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return maximum(a, b);
  }
  template <class T>
  static T identity() {
    return is_real<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::min();
  }
};
struct Min {
  template <class T>
  static FLAMBEAU_INLINE T join(T a, T b) {
    return minimum(a, b);
  }
  template <class T>
  static T identity() {
    return is_real<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  }
};

// Folds f(0), ..., f(n - 1).
template <class Op, class T, class F>
T fold(int64_t begin, int64_t n, F f) {
  if (n > kLeaf) {
    const int64_t half = (n / 2 + kLeaf - 1) / kLeaf * kLeaf;
    const T low = fold<Op, T>(begin, half, f), high = fold<Op, T>(begin + half, n - half, f);
    return Op::join(low, high);
  }
  T result = Op::template identity<T>();
  int64_t i = 0;
  if (n >= kLanes) {
    T lanes[kLanes];
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Op::template identity<T>();
    for (; i + kLanes <= n; i += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Op::join(lanes[j], f(begin + i + j));
    for (int64_t width = kLanes / 2; width > 0; width /= 2)
      for (int64_t j = 0; j < width; ++j) lanes[j] = Op::join(lanes[j], lanes[j + width]);
    result = lanes[0];
  }
  for (; i < n; ++i) result = Op::join(result, f(begin + i));
  return result;
}

template <class Op, class T>
void reduce(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  if (inner == 1) {
    out[0] = fold<Op, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    return;
  }
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    T total[kTile];
    for (int64_t i = 0; i < count; ++i) total[i] = Op::template identity<T>();
    for (int64_t row = 0; row < length; row += kTileRows) {
      T partial[kTile];
      for (int64_t i = 0; i < count; ++i) partial[i] = Op::template identity<T>();
      const int64_t stop = row + kTileRows < length ? row + kTileRows : length;
      for (int64_t k = row; k < stop; ++k)
        for (int64_t i = 0; i < count; ++i) partial[i] = Op::join(partial[i], in[k * inner + first + i]);
      for (int64_t i = 0; i < count; ++i) total[i] = Op::join(total[i], partial[i]);
    }
    for (int64_t i = 0; i < count; ++i) out[first + i] = total[i];
  }
}

template <class Op, class T>
void arg_reduce(int64_t* out, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  const T* in = reinterpret_cast<const T*>(in_bytes);
  if (inner == 1) {
    const T best = fold<Op, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    int64_t i = 0;
    for (; i + kLanes <= length; i += kLanes) {  // blocks without the value are skipped at vector speed
      bool found = false;
      for (int64_t j = 0; j < kLanes; ++j) found |= (in[i + j] == best) | (in[i + j] != in[i + j]);
      if (found) break;
    }
    while (!(in[i] == best || in[i] != in[i])) ++i;
    out[0] = i;
    return;
  }
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    T best[kTile];
    for (int64_t i = 0; i < count; ++i) {
      best[i] = in[first + i];
      out[first + i] = 0;
    }
    for (int64_t k = 1; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) {
        const T value = in[k * inner + first + i];
        const bool better = (best[i] == best[i]) & (Op::join(value, best[i]) != best[i]);
        out[first + i] = better ? k : out[first + i];
        best[i] = better ? value : best[i];
      }
  }
}

template <class T>
double squared_deviation(const char* in_bytes, int64_t length, double mean) {
  const T* in = reinterpret_cast<const T*>(in_bytes);
  const T centre = T(mean);
  return fold<Sum, T>(0, length, [in, centre](int64_t i) __attribute__((always_inline)) {
    const T d = in[i] - centre;
    return d * d;
  });
}

template <class T>
void cumsum(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  using Accumulator = std::conditional_t<std::is_same_v<T, float>, double,
                                         std::conditional_t<std::is_same_v<T, Complex<float>>, Complex<double>, T>>;
  if (inner == 1) {
    Accumulator total = 0;
    for (int64_t i = 0; i < length; ++i) out[i] = convert<T>(total += convert<Accumulator>(in[i]));
    return;
  }
  for (int64_t i = 0; i < inner; ++i) out[i] = in[i];
  for (int64_t k = 1; k < length; ++k)
    for (int64_t i = 0; i < inner; ++i) out[k * inner + i] = out[(k - 1) * inner + i] + in[k * inner + i];
}

template <class T>
void softmax(char* out_bytes, const char* in_bytes, int64_t rows, int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  for (int64_t r = 0; r < rows; ++r, in += length, out += length) {
    const T largest = fold<Max, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    const T total = fold<Sum, T>(0, length, [in, out, largest](int64_t i) __attribute__((always_inline)) {
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
    const T largest = fold<Max, T>(0, length, [in](int64_t i) __attribute__((always_inline)) { return in[i]; });
    const T total = fold<Sum, T>(
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
        fold<Sum, T>(0, length, [=](int64_t i) __attribute__((always_inline)) { return grad[i] * result[i]; });
    for (int64_t i = 0; i < length; ++i) out[i] = (grad[i] - dot) * result[i];
  }
}

template <class T>
void log_softmax_backward(char* out_bytes, const char* grad_bytes, const char* result_bytes, int64_t rows,
                          int64_t length) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T *grad = reinterpret_cast<const T*>(grad_bytes), *result = reinterpret_cast<const T*>(result_bytes);
  for (int64_t r = 0; r < rows; ++r, grad += length, result += length, out += length) {
    const T total = fold<Sum, T>(0, length, [=](int64_t i) __attribute__((always_inline)) { return grad[i]; });
    for (int64_t i = 0; i < length; ++i) out[i] = grad[i] - exp(result[i]) * total;
  }
}

template <class T, int C>
void fill_type(Table& table) {
  table.reduce[int(Reduce::Sum)][C] = reduce<Sum, T>;
  table.reduce[int(Reduce::Prod)][C] = reduce<Prod, T>;
  table.reduce[int(Reduce::Max)][C] = reduce<Max, T>;
  table.reduce[int(Reduce::Min)][C] = reduce<Min, T>;
  table.argmax[C] = arg_reduce<Max, T>;
  table.argmin[C] = arg_reduce<Min, T>;
  table.cumsum[C] = cumsum<T>;
}

// Sums of pairs, over a tree of the same kind, the parts in alternating lanes.
template <class T>
Complex<T> sum_pairs(const T* in, int64_t n) {
  if (n > kLeaf) {
    const int64_t half = (n / 2 + kLeaf - 1) / kLeaf * kLeaf;
    return sum_pairs(in, half) + sum_pairs(in + 2 * half, n - half);
  }
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= 2 * n; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += in[i + j];
  for (int64_t width = kLanes / 2; width > 1; width /= 2)
    for (int64_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  Complex<T> total(lanes[0], lanes[1]);
  for (; i < 2 * n; i += 2) total += Complex<T>(in[i], in[i + 1]);
  return total;
}
template <class T>
void sum_complex(char* out, const char* in, int64_t length, int64_t inner, int64_t width) {
  if (inner == 1)
    *reinterpret_cast<Complex<T>*>(out) = sum_pairs(reinterpret_cast<const T*>(in), length);
  else
    reduce<Sum, T>(out, in, length, 2 * inner, 2 * width);
}

template <class T, int C>
void fill_complex(Table& table) {
  table.reduce[int(Reduce::Sum)][C] = sum_complex<typename T::Real>;
  table.reduce[int(Reduce::Prod)][C] = reduce<Prod, T>;
  table.cumsum[C] = cumsum<T>;
}

template <class T, int I>
void fill_real(Table& table) {
  table.squared_deviation[I] = squared_deviation<T>;
  table.softmax[I] = softmax<T>;
  table.log_softmax[I] = log_softmax<T>;
  table.softmax_backward[I] = softmax_backward<T>;
  table.log_softmax_backward[I] = log_softmax_backward<T>;
}

}  // namespace

void fill_reduce(Table& table) {
  fill_type<int32_t, int(Compute::i32)>(table);
  fill_type<int64_t, int(Compute::i64)>(table);
  fill_type<float, int(Compute::f32)>(table);
  fill_type<double, int(Compute::f64)>(table);
  fill_complex<Complex<float>, int(Compute::c64)>(table);
  fill_complex<Complex<double>, int(Compute::c128)>(table);
  fill_real<float, 0>(table);
  fill_real<double, 1>(table);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
