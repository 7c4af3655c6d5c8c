// Running sums, products, extremes and log-sum-exps.
#include <limits>

#include "kernels/complex_math.h"
#include "kernels/joins.h"
#include "kernels/narrow_table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 256;  // columns carried along together

template <class T>
struct Plus {
  using State = RunningState<T>;
  static constexpr bool kWaits = false;
  static State start() { return State(0); }
  static FLAMBEAU_INLINE State join(State a, State b) { return a + b; }
};
template <class T>
struct Times {
  using State = RunningState<T>;
  static constexpr bool kWaits = true;
  static State start() { return State(1); }
  static FLAMBEAU_INLINE State join(State a, State b) { return a * b; }
};

// out[k, i] = in[0, i] o ... o in[k, i] for the columns i < width of rows `inner` apart.
template <class Op, class T>
void scan(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  using State = typename Op::State;
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    State state[kTile];
    for (int64_t i = 0; i < count; ++i) state[i] = Op::start();
    for (int64_t k = 0; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) {
        state[i] = Op::join(state[i], convert<State>(in[k * inner + first + i]));
        out[k * inner + first + i] = convert<T>(state[i]);
      }
  }
}

// The same of a long row in blocks: first the total of each, ...
template <class Op, class T>
void scan_total(char* total, const char* in_bytes, int64_t n) {
  using State = typename Op::State;
  constexpr int64_t kLanes = 32;
  const T* in = reinterpret_cast<const T*>(in_bytes);
  State lanes[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Op::start();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] = Op::join(lanes[j], convert<State>(in[i + j]));
  for (; i < n; ++i) lanes[0] = Op::join(lanes[0], convert<State>(in[i]));
  for (int64_t j = 1; j < kLanes; ++j) lanes[0] = Op::join(lanes[0], lanes[j]);
  *reinterpret_cast<State*>(total) = lanes[0];
}

// ... then, with the totals before each of them, one block after the other: memory comes quickest in one stream. Two go
// together where a step waits long for the one before it: by a multiplication, or a conversion to a wider state.
template <class Op, class T>
void scan_blocks(char* out_bytes, const char* in_bytes, const char* before, int64_t blocks, int64_t n) {
  using State = typename Op::State;
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  const State* start = reinterpret_cast<const State*>(before);
  constexpr int64_t kChains = Op::kWaits || sizeof(State) > sizeof(T) ? 2 : 1;
  int64_t b = 0;
  for (; b + kChains <= blocks; b += kChains, in += kChains * n, out += kChains * n) {
    State state[kChains];
    for (int64_t j = 0; j < kChains; ++j) state[j] = start[b + j];
    for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 2
      for (int64_t j = 0; j < kChains; ++j) {
        state[j] = Op::join(state[j], convert<State>(in[j * n + i]));
        out[j * n + i] = convert<T>(state[j]);
      }
  }
  for (; b < blocks; ++b, in += n, out += n) {
    State state = start[b];
    for (int64_t i = 0; i < n; ++i) {
      state = Op::join(state, convert<State>(in[i]));
      out[i] = convert<T>(state);
    }
  }
}

// What elements are compared as.
template <class T>
using Compared = std::conditional_t<std::is_same_v<T, bfloat16>, float, T>;
// Of equal elements the last counts; after NaN nothing does but NaN.
template <bool largest, class T>
FLAMBEAU_INLINE bool replaces(T value, T best) {
  return (value != value) | ((best == best) & (largest ? value >= best : value <= best));
}

template <bool largest, class T>
void scan_extreme_row(T* out, int64_t* indices, const T* in, int64_t length) {
  using V = Compared<T>;
  V best = convert<V>(in[0]);
  T stored = in[0];
  int64_t place = 0;
  for (int64_t i = 0; i < length; ++i) {
    const V value = convert<V>(in[i]);
    if (FLAMBEAU_UNLIKELY(!(largest ? value < best : value > best)) && replaces<largest>(value, best)) {
      best = value;
      stored = in[i];
      place = i;
    }
    out[i] = stored;
    indices[i] = place;
  }
}

template <bool largest, class T>
void scan_extreme(char* out_bytes, int64_t* indices, const char* in_bytes, int64_t length, int64_t inner,
                  int64_t width) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  if (inner == 1) return scan_extreme_row<largest>(out, indices, in, length);
  for (int64_t i = 0; i < width; ++i) {
    out[i] = in[i];
    indices[i] = 0;
  }
  for (int64_t k = 1; k < length; ++k)
    for (int64_t i = k * inner; i < k * inner + width; ++i) {
      const T best = out[i - inner], value = in[i];
      const bool better = replaces<largest>(convert<Compared<T>>(value), convert<Compared<T>>(best));
      out[i] = better ? value : best;
      indices[i] = better ? k : indices[i - inner];
    }
}

// log(sum(exp)) by a running maximum m and the sum s of exp(x - m): m + log(s).
template <class T>
void scan_log_sum_exp(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    double largest[kTile], sum[kTile];
    for (int64_t i = 0; i < count; ++i) {
      largest[i] = -kInfinity;
      sum[i] = 0;
    }
    for (int64_t k = 0; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) {
        const double x = in[k * inner + first + i], m = x > largest[i] || x != x ? x : largest[i];
        const bool flat = m == kInfinity || m == -kInfinity;  // differences of infinities are 0
        sum[i] = flat ? 1 : sum[i] * std::exp(largest[i] - m) + std::exp(x - m);
        largest[i] = m;
        out[k * inner + first + i] = T(flat ? m : m + std::log(sum[i]));
      }
  }
}

// Of complex numbers, step by step: the imaginary part runs on where a logarithm of the sum would jump.
template <class T>
void scan_complex_log_sum_exp(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  namespace complex = complex_rows::FLAMBEAU_ISA;
  using State = Complex<double>;
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  for (int64_t i = 0; i < width; ++i) {
    State state = State(-std::numeric_limits<double>::infinity());
    for (int64_t k = i; k < length * inner + i; k += inner) {
      const State x = convert<State>(in[k]), low = x.re < state.re ? x : state, high = x.re < state.re ? state : x;
      const bool alone = low.re == -std::numeric_limits<double>::infinity();
      state = alone ? high : high + complex::log1p(complex::exp(low - high));
      out[k] = convert<T>(state);
    }
  }
}

template <class T, int C>
void fill_arithmetic(Table& table) {
  table.scan[int(Scan::Sum)][C] = {scan<Plus<T>, T>, scan_total<Plus<T>, T>, scan_blocks<Plus<T>, T>,
                                   sizeof(typename Plus<T>::State)};
  table.scan[int(Scan::Prod)][C] = {scan<Times<T>, T>, scan_total<Times<T>, T>, scan_blocks<Times<T>, T>,
                                    sizeof(typename Times<T>::State)};
}
template <class T>
void fill_narrow(NarrowTable& table, Narrow type) {
  table.cummax[int(type)] = scan_extreme<true, T>;
  table.cummin[int(type)] = scan_extreme<false, T>;
}
template <class T, int C>
void fill_ordered(Table& table) {
  fill_arithmetic<SameBits<T>, C>(table);
  table.cummax[C] = scan_extreme<true, T>;
  table.cummin[C] = scan_extreme<false, T>;
}

}  // namespace

void fill_cumulative(Table& table, NarrowTable& narrow) {
  fill_ordered<int32_t, int(Compute::i32)>(table);
  fill_ordered<int64_t, int(Compute::i64)>(table);
  fill_ordered<uint64_t, int(Compute::u64)>(table);
  fill_ordered<float, int(Compute::f32)>(table);
  fill_ordered<double, int(Compute::f64)>(table);
  fill_narrow<int8_t>(narrow, Narrow::i8);
  fill_narrow<uint8_t>(narrow, Narrow::u8);
  fill_narrow<int16_t>(narrow, Narrow::i16);
  fill_narrow<bfloat16>(narrow, Narrow::bf16);
  fill_arithmetic<Complex<float>, int(Compute::c64)>(table);
  fill_arithmetic<Complex<double>, int(Compute::c128)>(table);
  table.logcumsumexp[0] = scan_log_sum_exp<float>;
  table.logcumsumexp[1] = scan_log_sum_exp<double>;
  table.logcumsumexp[2] = scan_complex_log_sum_exp<Complex<float>>;
  table.logcumsumexp[3] = scan_complex_log_sum_exp<Complex<double>>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
