// Cumulative sums, products, extremes and log-sum-exps. A module's source includes this file and invokes
//
//   FLAMBEAU_SCAN(Op)
//
// which defines the kernels short_rows (a warp for each row), rows (a block for a part of a row) and columns (a thread
// for each column). An Op has a State with identity(), join(earlier, later), of(element, position) and write(a, at,
// state), and, if it writes only one tensor, value(state). The order in which elements are joined depends only on the
// shape.
#pragma once

#include "device/layers/softmax.h"
#include "device/reductions/scan_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/joins.h"

namespace flambeau::cuda {

// Returns the combined state of the preceding threads of a warp or block. Sets `total` to the combined state of all
// threads.
template <class Op, int threads, class State>
inline State before_thread(State own, State& total) {
  const int lane = int(threadIdx.x) % 32;
  State upto = own;
  for (int step = 1; step < 32; step *= 2) {
    const State lower = of_lower_lane(upto, step);
    if (lane >= step) upto = Op::join(lower, upto);
  }
  State before = of_lower_lane(upto, 1);
  if (lane == 0) before = Op::identity();
  if constexpr (threads == 32) {
    total = of_lane_number(upto, 31);
    return before;
  } else {
    __shared__ State warps[threads / 32];
    __syncthreads();  // all reads of the previous contents are complete
    if (lane == 31) warps[threadIdx.x / 32] = upto;
    __syncthreads();
    State lower = Op::identity();
    total = warps[0];
    for (int w = 0; w < threads / 32; ++w) {
      if (w < int(threadIdx.x) / 32) lower = Op::join(lower, warps[w]);
      if (w > 0) total = Op::join(total, warps[w]);
    }
    return Op::join(lower, before);
  }
}

template <class Op>
struct ScanOf {
  using Stored = typename Op::Stored;
  using State = typename Op::State;
  static constexpr int kWidth = Pack<Stored>::kWidth;

  // Scans the elements [begin, end) of a row, starting from `carry`. Returns the combined state.
  template <int threads>
  static State along(const ScanArguments& a, int64_t row, int64_t begin, int64_t end, State carry) {
    const Stored* in = reinterpret_cast<const Stored*>(a.in) + row * a.length;
    const bool aligned = is_aligned(in);
    const int thread = int(threadIdx.x) % threads;
    for (int64_t tile = begin; tile < end; tile += threads * kWidth) {
      const int64_t first = tile + thread * kWidth;
      State states[kWidth];
      if (first + kWidth <= end) {
        const Pack<Stored> pack = load(in + first, aligned);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) states[j] = Op::of(pack.values[j], first + j);
      } else {
#pragma unroll
        for (int j = 0; j < kWidth; ++j)
          states[j] = first + j < end ? Op::of(in[first + j], first + j) : Op::identity();
      }
#pragma unroll
      for (int j = 1; j < kWidth; ++j) states[j] = Op::join(states[j - 1], states[j]);
      State total;
      const State before = Op::join(carry, before_thread<Op, threads>(states[kWidth - 1], total));
      if (!a.totals_only) {
#pragma unroll
        for (State& state : states) state = Op::join(before, state);
        write_pack(a, row * a.length + first, states, end - first);
      }
      carry = Op::join(carry, total);
    }
    return carry;
  }

  // Writes the first `count` results of a pack.
  static void write_pack(const ScanArguments& a, int64_t at, const State (&states)[kWidth], int64_t count) {
    if constexpr (requires { Op::value(states[0]); })
      if (count >= kWidth) {
        Stored* out = reinterpret_cast<Stored*>(a.out[0]) + at;
        Pack<Stored> pack;
#pragma unroll
        for (int j = 0; j < kWidth; ++j) pack.values[j] = Op::value(states[j]);
        return store(out, pack, is_aligned(out));
      }
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      if (j < count) Op::write(a, at + j, states[j]);
  }

  static void short_rows(const ScanArguments& a) {
    const int64_t row = int64_t(blockIdx.x) * (kScanThreads / 32) + threadIdx.x / 32;
    if (row < a.outer) along<32>(a, row, 0, a.length, Op::identity());
  }
  static void rows(const ScanArguments& a) {
    const int64_t row = blockIdx.x, begin = blockIdx.y * a.part;
    State carry = Op::identity();
    State* totals = reinterpret_cast<State*>(a.totals) + row * a.parts;
    if (!a.totals_only && blockIdx.y > 0) {  // combine the parts before this one; a thread combines some of them
      const int each = (int(blockIdx.y) + kScanThreads - 1) / kScanThreads, first = int(threadIdx.x) * each;
      State own = Op::identity();
      for (int p = first; p < first + each && p < int(blockIdx.y); ++p) own = Op::join(own, totals[p]);
      before_thread<Op, kScanThreads>(own, carry);
    }
    const int64_t end = begin + a.part < a.length ? begin + a.part : a.length;
    const State total = along<kScanThreads>(a, row, begin, end, carry);
    if (a.totals_only && threadIdx.x == 0) totals[blockIdx.y] = total;
  }
  static void columns(const ScanArguments& a) {
    const int64_t line = int64_t(blockIdx.x) * kScanThreads + threadIdx.x;
    if (line >= a.outer * a.inner) return;
    const int64_t outer = line / a.inner, column = line % a.inner, begin = blockIdx.y * a.part;
    State* totals = reinterpret_cast<State*>(a.totals) + outer * a.parts * a.inner + column;
    State state = Op::identity();
    if (!a.totals_only)
      for (unsigned p = 0; p < blockIdx.y; ++p) state = Op::join(state, totals[p * a.inner]);
    const int64_t end = begin + a.part < a.length ? begin + a.part : a.length;
    const auto add = [&]<int n>(int64_t first, Stored(&values)[n]) {
      const int64_t at = (outer * a.length + first) * a.inner + column;
#pragma unroll
      for (int j = 0; j < n; ++j) values[j] = reinterpret_cast<const Stored*>(a.in)[at + j * a.inner];
#pragma unroll
      for (int j = 0; j < n; ++j) {
        state = Op::join(state, Op::of(values[j], first + j));
        if (!a.totals_only) Op::write(a, at + j * a.inner, state);
      }
    };
    constexpr int kAhead = 8;  // elements that are loaded together
    int64_t i = begin;
    for (; i + kAhead <= end; i += kAhead) {
      Stored values[kAhead];
      add(i, values);
    }
#pragma unroll 1
    for (; i < end; ++i) {
      Stored values[1];
      add(i, values);
    }
    if (a.totals_only) totals[blockIdx.y * a.inner] = state;
  }
};

namespace scans {

template <class T, class Join>
struct Running {
  using Stored = T;
  using State = kernels::FLAMBEAU_ISA::RunningState<T>;
  static State identity() { return Join::template identity<State>(); }
  static State join(State x, State y) { return Join::join(x, y); }
  static State of(T x, int64_t) { return convert<State>(x); }
  static T value(State s) { return convert<T>(s); }
  static void write(const ScanArguments& a, int64_t at, State s) { reinterpret_cast<T*>(a.out[0])[at] = value(s); }
};
template <class T>
using Sum = Running<T, host::Add>;
template <class T>
using Prod = Running<T, host::Multiply>;

// The last of equal elements is kept. After a NaN, only another NaN replaces it.
template <class T, bool largest>
struct Extreme {
  using Stored = T;
  struct State {
    T value;
    int64_t position;  // -1 for an empty state
  };
  static State identity() { return {T(0), -1}; }
  static State join(State x, State y) {
    const bool better = largest ? y.value >= x.value : y.value <= x.value;
    const bool takes = x.position < 0 || (y.position >= 0 && ((y.value != y.value) | ((x.value == x.value) & better)));
    return takes ? y : x;
  }
  static State of(T x, int64_t position) { return {x, position}; }
  static void write(const ScanArguments& a, int64_t at, State s) {
    reinterpret_cast<T*>(a.out[0])[at] = s.value;
    reinterpret_cast<int64_t*>(a.out[1])[at] = s.position;
  }
};
template <class T>
using Max = Extreme<T, true>;
template <class T>
using Min = Extreme<T, false>;

template <class T>
struct LogSumExp {
  using Stored = T;
  using Base = reductions::Exponentials<double>;
  using State = Base::State;
  static State identity() { return Base::identity<State>(); }
  static State join(State x, State y) { return Base::join(x, y); }
  static State of(T x, int64_t) { return {double(x), 1}; }
  static T value(State s) { return T(host::isinf(s.largest) ? s.largest : s.largest + std::log(s.sum)); }
  static void write(const ScanArguments& a, int64_t at, State s) { reinterpret_cast<T*>(a.out[0])[at] = value(s); }
};

// Log-sum-exp of complex numbers, computed sequentially. The imaginary part is not reduced to the range (-pi, pi] of
// the principal logarithm.
template <class T>
struct ComplexLogSumExp {
  using Stored = T;
  using State = Complex<double>;
  static State identity() { return State(-std::numeric_limits<double>::infinity()); }
  static State join(State state, State x) {
    namespace complex = complex_pointwise::FLAMBEAU_ISA;
    return complex::logaddexp(x, state);
  }
  static State of(T x, int64_t) { return convert<State>(x); }
  static void write(const ScanArguments& a, int64_t at, State s) { reinterpret_cast<T*>(a.out[0])[at] = convert<T>(s); }
};

}  // namespace scans

}  // namespace flambeau::cuda

#define FLAMBEAU_SCAN(...)                                                                          \
  using UnitScan = flambeau::cuda::ScanOf<flambeau::cuda::scans::__VA_ARGS__>;                      \
  using UnitArguments = flambeau::cuda::ScanArguments;                                              \
  constexpr int kUnitThreads = flambeau::cuda::kScanThreads;                                        \
  FLAMBEAU_COOPERATIVE_KERNEL(short_rows, UnitArguments, kUnitThreads) { UnitScan::short_rows(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(rows, UnitArguments, kUnitThreads) { UnitScan::rows(a); }             \
  FLAMBEAU_KERNEL(columns, UnitArguments) { UnitScan::columns(a); }
