// Reductions of (outer, length, inner) to (outer, inner). A module's source includes this file and invokes
//
//   FLAMBEAU_REDUCTION(Op)
//
// which defines the kernels short_rows (some lanes per row), long_rows (one block per part of a row), columns and
// wide_columns (adjacent threads process adjacent positions along `inner`), and join (which combines the states of the
// parts). An Op has
//
//   Stored, kInputs     the type of elements, and the number of input tensors
//   Leaf, State         the type that elements are converted to, and the type in which leaves are accumulated
//   identity<T>(), join(T, T)   for both types
//   Context, context(a, number)  data that map needs for a row or a column
//   map(values, position, context)  returns the Leaf of an element
//   write(a, at, state)          stores the result
//
// and optionally, to save instructions,
//
//   append(T, T)                 join() for a second argument that is not empty and whose elements are all later
//   batch(values)                returns the State of an array of elements of the only input tensor
//
// The elements that a thread reads and the order in which they are combined depend only on the shape.
#pragma once

#include "device/elementwise/halves.h"
#include "device/reductions/reduce_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/teams.h"
#include "flambeau/kernels/reductions.h"

namespace flambeau::cuda {

namespace host = kernels::FLAMBEAU_ISA;  // reductions that the CPU and the GPU share

template <class T>
using V = host::ValueOf<T>;

template <class Op>
struct Reduction {
  using Stored = typename Op::Stored;
  using Leaf = typename Op::Leaf;
  using State = typename Op::State;
  using Context = typename Op::Context;
  static constexpr int kInputs = Op::kInputs, kWidth = Pack<Stored>::kWidth, kUnroll = 4;
  static constexpr int kColumns = kWidth < 4 ? kWidth : 4;  // columns per thread in wide_columns

  static const Stored* input(const ReduceArguments& a, int k) { return reinterpret_cast<const Stored*>(a.in[k]); }
  static void write(const ReduceArguments& a, int64_t at, State state) {
    if (a.states)
      reinterpret_cast<State*>(a.out[0])[at] = state;
    else
      Op::write(a, at, state);
  }

  // Returns the number of elements of a row before its first aligned pack. These elements are read one by one. The
  // number depends on the index of the row, not on the address of the tensor, so that the order of operations depends
  // only on the shape.
  static int64_t count_before_packs(const ReduceArguments& a, int64_t row) { return -(row * a.length) & (kWidth - 1); }

  static V<Stored> number_of(Stored v) { return host::Element<Stored>::value(v); }
  // Combines a result with the result of at least one element. All of the latter's elements come later in the row or
  // column.
  template <class T>
  static T append(T earlier, T later) {
    if constexpr (requires { Op::append(earlier, later); })
      return Op::append(earlier, later);
    else
      return Op::join(earlier, later);
  }

  // The number of packs whose elements are combined at once, if the operation has the member `batch`.
  static constexpr bool kBatches = requires(V<Stored> (&x)[kWidth]) { Op::batch(x); };
  static constexpr int kBatch = !kBatches || kWidth >= 16 ? 1 : 16 / kWidth < kUnroll ? 16 / kWidth : kUnroll;

  // Combines the elements of `n` packs of each input. The first element is at `position`, and the packs are `step`
  // apart.
  template <int n>
  static State of_packs(const Pack<Stored> (*packs)[kInputs], int64_t position, int64_t step, const Context& context) {
    if constexpr (kBatches) {
      V<Stored> values[n * kWidth];
#pragma unroll
      for (int u = 0; u < n; ++u)
#pragma unroll
        for (int j = 0; j < kWidth; ++j) values[u * kWidth + j] = number_of(packs[u][0].values[j]);
      return Op::batch(values);
    } else {
      State state = State(of_pack(packs[0], position, context));
#pragma unroll
      for (int u = 1; u < n; ++u) state = append(state, State(of_pack(packs[u], position + u * step, context)));
      return state;
    }
  }
  static Leaf of_pack(const Pack<Stored> (&packs)[kInputs], int64_t position, const Context& context) {
    Leaf leaves[kWidth];
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      Stored values[kInputs];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) values[k] = packs[k].values[j];
      leaves[j] = Op::map(values, position + j, context);
    }
#pragma unroll
    for (int step = 1; step < kWidth; step *= 2)
#pragma unroll
      for (int j = 0; j + step < kWidth; j += 2 * step) leaves[j] = append(leaves[j], leaves[j + step]);
    return leaves[0];
  }

  // Reduces complete packs that are `step` elements apart, from position i to the end. Returns the next position. The
  // loads overlap only if the compiler knows whether they are aligned.
  template <bool aligned>
  static int64_t add_packs(State (&states)[kUnroll], const Stored* (&rows)[kInputs], int64_t i, int64_t end,
                           int64_t step, const Context& context) {
    for (; i + (kUnroll - 1) * step + kWidth <= end; i += kUnroll * step) {
      Pack<Stored> packs[kUnroll][kInputs];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u)
#pragma unroll
        for (int k = 0; k < kInputs; ++k) packs[u][k] = load(rows[k] + i + u * step, aligned);
#pragma unroll
      for (int u = 0; u < kUnroll; u += kBatch)
        states[u] = append(states[u], of_packs<kBatch>(packs + u, i + u * step, step, context));
    }
    for (; i + kWidth <= end; i += step) {
      Pack<Stored> packs[kInputs];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) packs[k] = load(rows[k] + i, aligned);
      states[0] = append(states[0], of_packs<1>(&packs, i, step, context));
    }
    return i;
  }

  // Reduces a thread's part of the elements [begin, end) of a row: packs that are `threads` packs apart. `begin` is a
  // multiple of kWidth.
  static State of_row(const ReduceArguments& a, int64_t row, int64_t begin, int64_t end, int thread, int threads) {
    const Context context = Op::context(a, row);
    const Stored* rows[kInputs];
    bool aligned = true;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
      rows[k] = input(a, k) + row * a.length;
      aligned &= is_aligned(input(a, k));
    }
    const int64_t first = begin + count_before_packs(a, row), step = int64_t(threads) * kWidth,
                  own = first + int64_t(thread) * kWidth;
    State states[kUnroll];
#pragma unroll
    for (State& state : states) state = Op::template identity<State>();
    const int64_t rest = aligned ? add_packs<true>(states, rows, own, end, step, context)
                                 : add_packs<false>(states, rows, own, end, step, context);
    const auto add = [&](State& to, int64_t at) {
      Stored values[kInputs];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) values[k] = rows[k][at];
      to = Op::join(to, State(Op::map(values, at, context)));
    };
    for (int64_t i = rest; i < end; ++i) add(states[1], i);  // one thread adds elements after the last complete pack
    for (int64_t at = begin + thread; at < first && at < end; at += threads) add(states[2], at);
    return Op::join(Op::join(states[0], states[1]), Op::join(states[2], states[3]));
  }

  static void short_rows(const ReduceArguments& a) {
    const int lane = int(threadIdx.x) % a.lanes;
    const int64_t row = int64_t(blockIdx.x) * (kReduceThreads / a.lanes) + threadIdx.x / unsigned(a.lanes);
    const bool in_range = row < a.outer;
    const State state =
        join_lanes<Op>(of_row(a, in_range ? row : 0, 0, in_range ? a.length : 0, lane, a.lanes), a.lanes);
    if (in_range && lane == 0) write(a, row, state);
  }
  static void long_rows(const ReduceArguments& a) {
    const int64_t row = blockIdx.x, begin = blockIdx.y * a.part;
    const int64_t end = begin + a.part < a.length ? begin + a.part : a.length;
    const State state = join_block<Op, kReduceThreads>(of_row(a, row, begin, end, int(threadIdx.x), kReduceThreads));
    if (threadIdx.x == 0) write(a, row * a.parts + blockIdx.y, state);
  }

  // In the kernels for columns, each thread reduces `count` columns of every slots-th row of a part. Then the states of
  // the slots are combined.
  template <int count>
  struct alignas(count * sizeof(Stored)) Columns {
    Stored values[count];
  };
  template <int count>
  static Columns<count> load_columns(const Stored* from, bool aligned) {
    if (aligned) return *reinterpret_cast<const Columns<count>*>(from);
    Columns<count> out;
#pragma unroll
    for (int j = 0; j < count; ++j) out.values[j] = from[j];
    return out;
  }
  template <int count>
  static void add_row(State (&states)[count], const Columns<count> (&rows)[kInputs], int64_t position,
                      const Context (&contexts)[count]) {
#pragma unroll
    for (int j = 0; j < count; ++j) {
      Stored values[kInputs];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) values[k] = rows[k].values[j];
      states[j] = append(states[j], State(Op::map(values, position, contexts[j])));
    }
  }
  template <int count, int n>
  static void add_rows(State (&states)[count], const Columns<count> (&rows)[n][kInputs], int64_t position, int step,
                       const Context (&contexts)[count]) {
    if constexpr (kBatches)
#pragma unroll
      for (int j = 0; j < count; ++j) {
        V<Stored> values[n];
#pragma unroll
        for (int r = 0; r < n; ++r) values[r] = number_of(rows[r][0].values[j]);
        states[j] = Op::join(states[j], Op::batch(values));
      }
    else
#pragma unroll
      for (int r = 0; r < n; ++r) add_row<count>(states, rows[r], position + r * step, contexts);
  }
  // The position of a thread in a block of columns.
  struct ColumnPosition {
    int slots, slot;
    int64_t outer, column;
    bool in_range;
    ColumnPosition(const ReduceArguments& a, int count) : slots(a.slots) {
      const int thread = int(threadIdx.x), team = a.lanes * slots;
      const int64_t tiles = (a.inner / count + a.lanes - 1) / a.lanes;
      slot = thread / a.lanes % slots;
      outer = blockIdx.x / tiles * (kReduceThreads / team) + thread / team;
      column = (blockIdx.x % tiles * a.lanes + thread % a.lanes) * count;
      in_range = outer < a.outer && column < a.inner;
    }
  };
  // Combines the states of threads that are `lanes` apart. The first of these threads gets the result.
  template <int count>
  static void join_slots(State (&states)[count], int lanes, int slot, int slots) {
    __shared__ State shared[count][kReduceThreads];
    for (int half = slots / 2; half > 0; half /= 2) {
      __syncthreads();
      if (slot >= half && slot < 2 * half)
#pragma unroll
        for (int j = 0; j < count; ++j) shared[j][threadIdx.x] = states[j];
      __syncthreads();
      if (slot < half)
#pragma unroll
        for (int j = 0; j < count; ++j) states[j] = Op::join(states[j], shared[j][threadIdx.x + half * lanes]);
    }
  }
  template <int count>
  static void columns(const ReduceArguments& a) {
    const ColumnPosition at(a, count);
    State states[count];
    of_columns<count>(a, states, at);
    join_slots<count>(states, a.lanes, at.slot, at.slots);
    if (at.slot == 0 && at.in_range)
#pragma unroll
      for (int j = 0; j < count; ++j) write(a, (at.outer * a.parts + blockIdx.y) * a.inner + at.column + j, states[j]);
  }
  // Reduces the rows from row i to `end` that are `step` rows apart. The loads overlap only if the compiler knows
  // whether they are aligned.
  template <int count, bool aligned>
  static void add_columns(State (&states)[count], const Stored* (&first)[kInputs], int64_t inner, int64_t i,
                          int64_t end, int step, const Context (&contexts)[count]) {
    constexpr int kRows = 4;  // rows that are loaded before they are combined
    const auto add = [&]<int n>(Columns<count>(&rows)[n][kInputs]) {
#pragma unroll
      for (int r = 0; r < n; ++r)
#pragma unroll
        for (int k = 0; k < kInputs; ++k) rows[r][k] = load_columns<count>(first[k] + (i + r * step) * inner, aligned);
      add_rows<count>(states, rows, i, step, contexts);
    };
    for (; i + (kRows - 1) * step < end; i += kRows * step) {
      Columns<count> rows[kRows][kInputs];
      add(rows);
    }
    for (; i < end; i += step) {
      Columns<count> rows[1][kInputs];
      add(rows);
    }
  }
  template <int count>
  static void of_columns(const ReduceArguments& a, State (&states)[count], const ColumnPosition& at) {
    const int64_t begin = blockIdx.y * a.part + at.slot;
    const int64_t end = (blockIdx.y + 1) * a.part < a.length ? (blockIdx.y + 1) * a.part : a.length;
#pragma unroll
    for (State& state : states) state = Op::template identity<State>();
    if (!at.in_range) return;
    Context contexts[count];
#pragma unroll
    for (int j = 0; j < count; ++j) contexts[j] = Op::context(a, at.column + j);
    const Stored* first[kInputs];
    bool aligned = true;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
      first[k] = input(a, k) + at.outer * a.length * a.inner + at.column;
      aligned &= reinterpret_cast<uintptr_t>(first[k]) % sizeof(Columns<count>) == 0;
    }
    if (aligned)
      add_columns<count, true>(states, first, a.inner, begin, end, at.slots, contexts);
    else
      add_columns<count, false>(states, first, a.inner, begin, end, at.slots, contexts);
  }

  // Combines states (outer, length, inner) along `length`. A block computes `lanes` adjacent positions along `inner`.
  static void join(const ReduceArguments& a) {
    const int slot = int(threadIdx.x) / a.lanes;
    const int64_t tiles = (a.inner + a.lanes - 1) / a.lanes, outer = blockIdx.x / tiles,
                  column = blockIdx.x % tiles * a.lanes + threadIdx.x % a.lanes;
    const bool in_range = column < a.inner;
    const State* states = reinterpret_cast<const State*>(a.in[0]) + outer * a.length * a.inner + column;
    State state[1] = {Op::template identity<State>()};
    if (in_range)
      for (int64_t i = slot; i < a.length; i += a.slots) state[0] = append(state[0], states[i * a.inner]);
    join_slots<1>(state, a.lanes, slot, a.slots);
    if (slot == 0 && in_range) write(a, outer * a.inner + column, state[0]);
  }
};

struct NoContext {};
struct WithoutContext {
  using Context = NoContext;
  static NoContext context(const ReduceArguments&, int64_t) { return {}; }
};

// A reduction with the same operations as on the CPU.
template <class Base, class T>
struct Plain : Base, WithoutContext {
  using Stored = typename host::Element<T>::Stored;
  using State = typename Base::Result;
  static constexpr int kInputs = 1;
  static typename Base::Leaf map(const Stored (&x)[1], int64_t, NoContext) {
    return Base::map(host::Element<T>::value(x[0]));
  }
  static void write(const ReduceArguments& a, int64_t at, State state) {
    reinterpret_cast<State*>(a.out[0])[at] = state;
  }
};
namespace reductions {
#define REDUCTION(name, ...) \
  template <class T>         \
  using name = Plain<host::ReductionOf<host::name##_reduction, V<T>>, T>;
#include "flambeau/reductions.def"

// The dot product of two vectors, computed in the type in which the products are summed.
template <class T>
struct Dot : Plain<host::ReductionOf<host::sum_reduction, V<T>>, T> {
  using Stored = T;
  static constexpr int kInputs = 2;
  static V<T> map(const T (&x)[2], int64_t, NoContext) { return convert<V<T>>(x[0]) * convert<V<T>>(x[1]); }
};

// An extreme value and its position. If several values are equal, the first one is kept. NaN counts as extreme, and the
// first NaN is kept.
template <class Join, class T>
struct Extreme : WithoutContext {
  using Stored = typename host::Element<T>::Stored;
  struct State {
    V<T> value;
    int64_t position;  // -1 for an empty state
  };
  using Leaf = State;
  static constexpr int kInputs = 1;
  template <class>
  static State identity() {
    return {V<T>(0), -1};
  }
  static State join(State x, State y) {
    const bool same = (x.value == y.value) | ((x.value != x.value) & (y.value != y.value));
    const bool second = (x.value == x.value) & (Join::join(y.value, x.value) != x.value);
    const bool takes = x.position < 0 || (y.position >= 0 && (same ? y.position < x.position : second));
    return takes ? y : x;
  }
  static State append(State x, State y) {
    const bool better = std::is_same_v<Join, host::Larger> ? !(y.value <= x.value) : !(y.value >= x.value);
    return x.position < 0 || (better & (x.value == x.value)) ? y : x;
  }
  static State map(const Stored (&x)[1], int64_t position, NoContext) {
    return {host::Element<T>::value(x[0]), position};
  }
  static void write(const ReduceArguments& a, int64_t at, State state) {
    reinterpret_cast<int64_t*>(a.out[0])[at] = state.position;
  }
};
template <class T>
using ArgMax = Extreme<host::Larger, T>;
template <class T>
using ArgMin = Extreme<host::Smaller, T>;

// Returns x / y. For numbers of type float, the error is up to two units in the last place, and y must be less than
// 2**126.
inline float quick_quotient(float x, float y) { return __fdividef(x, y); }
inline double quick_quotient(double x, double y) { return x / y; }

// Computes the sum and the sum of squared deviations (Chan, Golub, LeVeque 1979). The sum is accumulated separately,
// because infinities turn an incrementally updated mean into NaN.
template <class T>
struct MomentAccumulator : WithoutContext {
  using Stored = typename host::Element<T>::Stored;
  struct State {
    V<T> count, mean, squares, sum;
  };
  using Leaf = State;
  static constexpr int kInputs = 1;
  template <class>
  static State identity() {
    return {V<T>(0), V<T>(0), V<T>(0), V<T>(0)};
  }
  static State join(State x, State y) {
    if (x.count == V<T>(0) || y.count == V<T>(0)) return x.count == V<T>(0) ? y : x;
    const V<T> count = x.count + y.count, share = quick_quotient(y.count, count), delta = y.mean - x.mean;
    return {count, x.mean + delta * share, x.squares + y.squares + delta * delta * (x.count * share), x.sum + y.sum};
  }
  static State map(const Stored (&x)[1], int64_t, NoContext) {
    const V<T> value = host::Element<T>::value(x[0]);
    return {V<T>(1), value, value - value, value};  // NaN if the value is not finite
  }
  template <int n>
  static State batch(const V<T> (&x)[n]) {
    V<T> mean(0), sum(0), squares(0);
#pragma unroll
    for (int j = 0; j < n; ++j) mean += x[j] * (V<T>(1) / V<T>(n)), sum += x[j];
#pragma unroll
    for (int j = 0; j < n; ++j) squares += (x[j] - mean) * (x[j] - mean);
    return {V<T>(n), mean, squares, sum};
  }
  static V<T> mean(State s) { return s.sum / s.count; }
};
// Writes the mean and the sum of squared deviations.
template <class T>
struct Moments : MomentAccumulator<T> {
  using State = typename MomentAccumulator<T>::State;
  static void write(const ReduceArguments& a, int64_t at, State s) {
    reinterpret_cast<V<T>*>(a.out[0])[at] = MomentAccumulator<T>::mean(s);
    reinterpret_cast<V<T>*>(a.out[1])[at] = s.squares;
  }
};
}  // namespace reductions

}  // namespace flambeau::cuda

#define FLAMBEAU_REDUCTION(...)                                                                          \
  using UnitOp = flambeau::cuda::reductions::__VA_ARGS__;                                                \
  using UnitReduction = flambeau::cuda::Reduction<UnitOp>;                                               \
  using UnitArguments = flambeau::cuda::ReduceArguments;                                                 \
  constexpr int kUnitThreads = flambeau::cuda::kReduceThreads;                                           \
  FLAMBEAU_COOPERATIVE_KERNEL(short_rows, UnitArguments, kUnitThreads) { UnitReduction::short_rows(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(long_rows, UnitArguments, kUnitThreads) { UnitReduction::long_rows(a); }   \
  FLAMBEAU_COOPERATIVE_KERNEL(columns, UnitArguments, kUnitThreads) { UnitReduction::columns<1>(a); }    \
  FLAMBEAU_COOPERATIVE_KERNEL(wide_columns, UnitArguments, kUnitThreads) {                               \
    UnitReduction::columns<UnitReduction::kColumns>(a);                                                  \
  }                                                                                                      \
  FLAMBEAU_COOPERATIVE_KERNEL(join, UnitArguments, flambeau::cuda::kJoinThreads) { UnitReduction::join(a); }
