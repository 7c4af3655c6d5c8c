// Operations that reduce each line along the length of (outer, length, inner), and then compute each element of the
// result from the input and the line's reduction: softmax, layer normalisation and their derivatives. A module's source
// includes a header with such operations and invokes
//
//   FLAMBEAU_LINES(Op)
//
// which defines the kernels short_rows, long_rows, columns and wide_columns, like those of reduce.h, and held_rows. In
// short_rows (some lanes per row) and held_rows (a block of any size per row), threads keep the row in registers, so
// that it is read only once. long_rows (a block per row) reads it twice. An Op has the members of a reduction's Op
// except `write`, and in addition
//
//   Line, line(a, state, context)      what the elements of a line need from its reduction
//   value(values, position, line)      one element of the result
//   pack(packs, position, line)        optional: the same for a pack of elements of a row
//   keep(a, number, line)              stores what later operations need about a line
#pragma once

#include "device/reductions/reduce.h"

namespace flambeau::cuda {

template <class Op>
struct Lines : Reduction<Op> {
  using Base = Reduction<Op>;
  using typename Base::Stored, typename Base::State, typename Base::ColumnPosition;
  using Line = typename Op::Line;
  using Base::kInputs, Base::kWidth;

  // A row of the inputs and of the result. `first` is the position of its first aligned pack.
  struct Row {
    const Stored* in[kInputs];
    Stored* out;
    int first;
    int64_t length;
    bool aligned;
    Row(const ReduceArguments& a, int64_t row, bool in_range)
        : out(reinterpret_cast<Stored*>(a.out[0]) + row * a.length),
          first(int(Base::count_before_packs(a, row))),
          length(in_range ? a.length : 0),
          aligned(is_aligned(a.out[0])) {
#pragma unroll
      for (int k = 0; k < kInputs; ++k) {
        in[k] = Base::input(a, k) + row * a.length;
        aligned &= is_aligned(a.in[k]);
      }
    }
    bool has_pack(int64_t i) const { return i + kWidth <= length; }
    void read_pack(int64_t i, Pack<Stored> (&packs)[kInputs], bool aligned) const {
#pragma unroll
      for (int k = 0; k < kInputs; ++k) packs[k] = load(in[k] + i, aligned);
    }
    void write_pack(int64_t i, const Pack<Stored> (&packs)[kInputs], const Line& line, bool aligned) const {
      if constexpr (requires { Op::pack(packs, i, line); }) {
        store(out + i, Op::pack(packs, i, line), aligned);
      } else {
        Pack<Stored> results;
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
          Stored values[kInputs];
#pragma unroll
          for (int k = 0; k < kInputs; ++k) values[k] = packs[k].values[j];
          results.values[j] = Op::value(values, i + j, line);
        }
        store(out + i, results, aligned);
      }
    }
    // Calls f(position, values) for this thread's elements before the first complete pack and after the last one.
    template <class F>
    void each_other(int thread, int threads, F f) const {
      const int64_t before = first < length ? first : length, in_packs = (length - before) / kWidth * kWidth;
#pragma unroll 1
      for (int64_t i = thread; i < length - in_packs; i += threads) {
        const int64_t at = i < before ? i : i + in_packs;
        Stored values[kInputs];
#pragma unroll
        for (int k = 0; k < kInputs; ++k) values[k] = in[k][at];
        f(at, values);
      }
    }
    void write_others(int thread, int threads, const Line& line) const {
      each_other(thread, threads,
                 [&](int64_t at, const Stored(&values)[kInputs]) { out[at] = Op::value(values, at, line); });
    }
  };

  static constexpr int kHeld = kHeldPacks / kInputs, kGroup = Base::kBatch;  // packs per thread, and per combination
  static_assert(kHeld % kGroup == 0);

  // Reduces a row and writes the result. Each thread has at most kHeld packs of the row. Rows at unaligned addresses
  // are read twice. `join` combines the states of the threads.
  template <class Join>
  static void hold_row(const ReduceArguments& a, int64_t number, bool in_range, int thread, int threads, Join join) {
    const auto context = Op::context(a, number);
    const Row row(a, number, in_range);
    const int first = row.first + thread * kWidth, step = threads * kWidth;
    State state = Op::template identity<State>();
    const auto read_group = [&](int i, Pack<Stored>(*packs)[kInputs], bool aligned) {
#pragma unroll
      for (int u = 0; u < kGroup; ++u)
        if (row.has_pack(i + u * step)) row.read_pack(i + u * step, packs[u], aligned);
    };
    const auto add_group = [&](int i, const Pack<Stored>(*packs)[kInputs]) {
      if (row.has_pack(i + (kGroup - 1) * step)) {
        state = Op::join(state, Base::template of_packs<kGroup>(packs, i, step, context));
        return;
      }
#pragma unroll
      for (int u = 0; u < kGroup - 1; ++u)
        if (row.has_pack(i + u * step))
          state = Op::join(state, Base::template of_packs<1>(packs + u, i + u * step, step, context));
    };
    Pack<Stored> held[kHeld][kInputs];
    if (row.aligned) {
#pragma unroll
      for (int u = 0; u < kHeld; u += kGroup) read_group(first + u * step, held + u, true);
#pragma unroll
      for (int u = 0; u < kHeld; u += kGroup) add_group(first + u * step, held + u);
    } else {
#pragma unroll 1
      for (int i = first; row.has_pack(i); i += kGroup * step) {
        Pack<Stored> moved[kGroup][kInputs];
        read_group(i, moved, false);
        add_group(i, moved);
      }
    }
    row.each_other(thread, threads, [&](int64_t at, const Stored(&values)[kInputs]) {
      state = Op::join(state, State(Op::map(values, at, context)));
    });
    const Line line = Op::line(a, join(state), context);
    if (!in_range) return;
    if (thread == 0) Op::keep(a, number, line);
    if (row.aligned) {
      keep_in_registers(held);
#pragma unroll
      for (int u = 0; u < kHeld; ++u)
        if (row.has_pack(first + u * step)) row.write_pack(first + u * step, held[u], line, true);
    } else {
#pragma unroll 1
      for (int i = first; row.has_pack(i); i += step) {
        Pack<Stored> moved[kInputs];
        row.read_pack(i, moved, false);
        row.write_pack(i, moved, line, false);
      }
    }
    row.write_others(thread, threads, line);
  }

  static void short_rows(const ReduceArguments& a) {
    const int lane = int(threadIdx.x) % a.lanes;
    const int64_t row = int64_t(blockIdx.x) * (kReduceThreads / a.lanes) + threadIdx.x / unsigned(a.lanes);
    const bool in_range = row < a.outer;
    hold_row(a, in_range ? row : 0, in_range, lane, a.lanes,
             [&](State state) { return join_lanes<Op>(state, a.lanes); });
  }
  static void held_rows(const ReduceArguments& a) {
    hold_row(a, blockIdx.x, true, int(threadIdx.x), int(blockDim.x),
             [](State state) { return join_block_once<Op>(state); });
  }
  static void long_rows(const ReduceArguments& a) {
    const int64_t number = blockIdx.x;
    const int thread = int(threadIdx.x);
    const State state = join_block<Op, kReduceThreads>(Base::of_row(a, number, 0, a.length, thread, kReduceThreads));
    const Line line = Op::line(a, state, Op::context(a, number));
    if (thread == 0) Op::keep(a, number, line);
    const Row row(a, number, true);
    for (int64_t i = row.first + int64_t(thread) * kWidth; row.has_pack(i); i += int64_t(kReduceThreads) * kWidth) {
      Pack<Stored> packs[kInputs];
      row.read_pack(i, packs, row.aligned);
      row.write_pack(i, packs, line, row.aligned);
    }
    row.write_others(thread, kReduceThreads, line);
  }

  template <int count>
  static void columns(const ReduceArguments& a) {
    const ColumnPosition at(a, count);
    State states[count];
    Base::template of_columns<count>(a, states, at);
    Base::template join_slots<count>(states, a.lanes, at.slot, at.slots);
    __shared__ State joined[count][kReduceThreads];  // the first slot's states, for all threads of the column
    if (at.slot == 0)
#pragma unroll
      for (int j = 0; j < count; ++j) joined[j][threadIdx.x] = states[j];
    __syncthreads();
    if (!at.in_range) return;
    Line lines[count];
#pragma unroll
    for (int j = 0; j < count; ++j)
      lines[j] = Op::line(a, joined[j][threadIdx.x - at.slot * a.lanes], Op::context(a, at.column + j));
    const int64_t first = at.outer * a.length * a.inner + at.column;
    Stored* out = reinterpret_cast<Stored*>(a.out[0]) + first;
    using Columns = typename Base::template Columns<count>;
    const auto fits = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % sizeof(Columns) == 0; };
    bool aligned = fits(out);
#pragma unroll
    for (int k = 0; k < kInputs; ++k) aligned &= fits(Base::input(a, k) + first);
    for (int64_t i = at.slot; i < a.length; i += at.slots) {
      Columns rows[kInputs], results;
#pragma unroll
      for (int k = 0; k < kInputs; ++k)
        rows[k] = Base::template load_columns<count>(Base::input(a, k) + first + i * a.inner, aligned);
#pragma unroll
      for (int j = 0; j < count; ++j) {
        Stored values[kInputs];
#pragma unroll
        for (int k = 0; k < kInputs; ++k) values[k] = rows[k].values[j];
        results.values[j] = Op::value(values, i, lines[j]);
      }
      if (aligned)
        *reinterpret_cast<Columns*>(out + i * a.inner) = results;
      else
#pragma unroll
        for (int j = 0; j < count; ++j) out[i * a.inner + j] = results.values[j];
    }
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_LINES(...)                                                                          \
  using UnitLines = flambeau::cuda::Lines<flambeau::cuda::reductions::__VA_ARGS__>;                  \
  using UnitArguments = flambeau::cuda::ReduceArguments;                                             \
  constexpr int kUnitThreads = flambeau::cuda::kReduceThreads;                                       \
  FLAMBEAU_COOPERATIVE_KERNEL(short_rows, UnitArguments, kUnitThreads) { UnitLines::short_rows(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(long_rows, UnitArguments, kUnitThreads) { UnitLines::long_rows(a); }   \
  FLAMBEAU_COOPERATIVE_KERNEL(columns, UnitArguments, kUnitThreads) { UnitLines::columns<1>(a); }    \
  FLAMBEAU_COOPERATIVE_KERNEL(wide_columns, UnitArguments, kUnitThreads) {                           \
    UnitLines::columns<UnitLines::kColumns>(a);                                                      \
  }                                                                                                  \
  FLAMBEAU_COOPERATIVE_KERNEL(held_rows, UnitArguments, flambeau::cuda::kMaxHeldThreads) { UnitLines::held_rows(a); }
