// Softmax and log-softmax, their derivatives, and log-sum-exp. The reduction reads each line only once.
#pragma once

#include "device/elementwise/exponential.h"
#include "device/threads/lines.h"

namespace flambeau::cuda::reductions {

// Returns exp(x) for x <= 0. The fastest exponential is accurate enough for results that are rounded to two bytes.
template <class T>
inline V<T> exponential(V<T> x) {
  if constexpr (sizeof(T) == 2 && std::is_same_v<V<T>, float>)
    return quick_exp2(x * 1.44269504f);
  else if constexpr (std::is_same_v<V<T>, float>)
    return quick_exp(x);
  else
    return host::exp(x);
}

// The state consists of the maximum m and the sum of exp(x - m). If two maxima are the same infinity, their difference
// counts as 0.
template <class T>
struct Exponentials : WithoutContext {
  using Stored = T;
  struct State {
    V<T> largest, sum;
  };
  using Leaf = State;
  static constexpr int kInputs = 1;
  template <class>
  static State identity() {
    return {-std::numeric_limits<V<T>>::infinity(), V<T>(0)};
  }
  static State join(State x, State y) {
    const bool first = x.largest >= y.largest || x.largest != x.largest;
    const State high = first ? x : y, low = first ? y : x;
    const V<T> share = low.largest == high.largest ? V<T>(1) : exponential<T>(low.largest - high.largest);
    return {host::maximum(x.largest, y.largest), high.sum + low.sum * share};
  }
  static State map(const T (&x)[1], int64_t, NoContext) { return {convert<V<T>>(x[0]), V<T>(1)}; }
  template <int n>
  static State batch(const V<T> (&x)[n]) {
    State out{x[0], V<T>(0)};
#pragma unroll
    for (int j = 1; j < n; ++j) out.largest = host::maximum(out.largest, x[j]);
    const V<T> from = out.largest == identity<State>().largest ? V<T>(0) : out.largest;
#pragma unroll
    for (int j = 0; j < n; ++j) out.sum += exponential<T>(x[j] - from);
    return out;
  }
};

template <class T>
struct LogSumExp : Exponentials<T> {
  using State = typename Exponentials<T>::State;
  static void write(const ReduceArguments& a, int64_t at, State s) {
    const V<T> log = host::isinf(s.largest) ? s.largest : s.largest + V<T>(std::log(s.sum));
    reinterpret_cast<T*>(a.out[0])[at] = convert<T>(log);
  }
};

template <class T>
struct Forward : Exponentials<T> {
  struct Line {
    V<T> largest, by;
  };
  static void keep(const ReduceArguments&, int64_t, const Line&) {}
};
template <class T>
struct Softmax : Forward<T> {
  using Line = typename Forward<T>::Line;
  static Line line(const ReduceArguments&, typename Exponentials<T>::State s, NoContext) {
    return {s.largest, V<T>(1) / (s.sum + (s.largest - s.largest))};  // NaN if the largest is infinite
  }
  static T value(const T (&x)[1], int64_t, const Line& l) {
    return convert<T>(exponential<T>(convert<V<T>>(x[0]) - l.largest) * l.by);
  }
};
template <class T>
struct LogSoftmax : Forward<T> {
  using Line = typename Forward<T>::Line;
  static Line line(const ReduceArguments&, typename Exponentials<T>::State s, NoContext) {
    return {s.largest, V<T>(std::log(s.sum)) + (s.largest - s.largest)};
  }
  static T value(const T (&x)[1], int64_t, const Line& l) {
    return convert<T>((convert<V<T>>(x[0]) - l.largest) - l.by);
  }
};

// The derivatives read the gradient and the result of the forward pass.
template <class T>
struct Backward : WithoutContext, host::Add {
  using Stored = T;
  using State = V<T>;
  using Leaf = V<T>;
  using Line = V<T>;
  static constexpr int kInputs = 2;
  static Line line(const ReduceArguments&, State sum, NoContext) { return sum; }
  static void keep(const ReduceArguments&, int64_t, Line) {}
};
template <class T>
struct SoftmaxBackward : Backward<T> {
  static V<T> map(const T (&x)[2], int64_t, NoContext) { return convert<V<T>>(x[0]) * convert<V<T>>(x[1]); }
  static T value(const T (&x)[2], int64_t, V<T> sum) {
    return convert<T>((convert<V<T>>(x[0]) - sum) * convert<V<T>>(x[1]));
  }
};
template <class T>
struct LogSoftmaxBackward : Backward<T> {
  static V<T> map(const T (&x)[2], int64_t, NoContext) { return convert<V<T>>(x[0]); }
  static T value(const T (&x)[2], int64_t, V<T> sum) {
    const V<T> log = convert<V<T>>(x[1]);
    return convert<T>(convert<V<T>>(x[0]) - exponential<T>(log > V<T>(0) ? V<T>(0) : log) * sum);
  }
};

}  // namespace flambeau::cuda::reductions
