// Operations that reduce each line along the length of (outer, length, inner), and then compute each element of the
// result from the input and the line's reduction: softmax, layer normalisation and their derivatives. A module's source
// includes a header with such operations and invokes
//
//   FLAMBEAU_LINES(Op)
//
// which defines the kernels short_rows, long_rows (one block per row), columns and wide_columns, like those of
// reduce.h. An Op has the members of a reduction's Op except `write`, and in addition
//
//   Line, line(a, state, context)      what the elements of a line need from its reduction
//   value(values, position, line)         one element of the result
//   keep(a, number, line)              stores what later operations need about a line
#pragma once

#include "device/reductions/reduce.h"

namespace flambeau::cuda {

template <class Op>
struct Lines : Reduction<Op> {
  using Base = Reduction<Op>;
  using typename Base::Stored, typename Base::State, typename Base::ColumnPosition;
  using Line = typename Op::Line;
  using Base::kInputs, Base::kWidth, Base::kUnroll;

  static void write_row(const ReduceArguments& a, int64_t row, const Line& line, int thread, int threads) {
    const Stored* rows[kInputs];
    Stored* out = reinterpret_cast<Stored*>(a.out[0]) + row * a.length;
    bool aligned = is_aligned(a.out[0]);
#pragma unroll
    for (int k = 0; k < kInputs; ++k) {
      rows[k] = Base::input(a, k) + row * a.length;
      aligned &= is_aligned(a.in[k]);
    }
    const int64_t first = Base::count_before_packs(a, row);
    int64_t i = first + int64_t(thread) * kWidth;
    for (; i + kWidth <= a.length; i += int64_t(threads) * kWidth) {
      Pack<Stored> packs[kInputs], results;
#pragma unroll
      for (int k = 0; k < kInputs; ++k) packs[k] = load(rows[k] + i, aligned);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        Stored values[kInputs];
#pragma unroll
        for (int k = 0; k < kInputs; ++k) values[k] = packs[k].values[j];
        results.values[j] = Op::value(values, i + j, line);
      }
      store(out + i, results, aligned);
    }
    const auto write_at = [&](int64_t at) {
      Stored values[kInputs];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) values[k] = rows[k][at];
      out[at] = Op::value(values, at, line);
    };
    for (; i < a.length; ++i) write_at(i);
    for (int64_t at = thread; at < first && at < a.length; at += threads) write_at(at);
  }

  static void short_rows(const ReduceArguments& a) {
    const int lane = int(threadIdx.x) % a.lanes;
    const int64_t row = int64_t(blockIdx.x) * (kReduceThreads / a.lanes) + threadIdx.x / unsigned(a.lanes);
    const bool in_range = row < a.outer;
    const State state =
        join_lanes<Op>(Base::of_row(a, in_range ? row : 0, 0, in_range ? a.length : 0, lane, a.lanes), a.lanes);
    if (!in_range) return;
    const Line line = Op::line(a, state, Op::context(a, row));
    if (lane == 0) Op::keep(a, row, line);
    write_row(a, row, line, lane, a.lanes);
  }
  static void long_rows(const ReduceArguments& a) {
    const int64_t row = blockIdx.x;
    const State state =
        join_block<Op, kReduceThreads>(Base::of_row(a, row, 0, a.length, int(threadIdx.x), kReduceThreads));
    const Line line = Op::line(a, state, Op::context(a, row));
    if (threadIdx.x == 0) Op::keep(a, row, line);
    write_row(a, row, line, int(threadIdx.x), kReduceThreads);
  }

  template <int count>
  static void columns(const ReduceArguments& a) {
    const ColumnPosition at(a, count);
    State states[count];
    Base::template of_columns<count>(a, states, at);
    Base::template join_slots<count>(states, a.lanes, at);
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
  FLAMBEAU_COOPERATIVE_KERNEL(wide_columns, UnitArguments, kUnitThreads) { UnitLines::columns<UnitLines::kColumns>(a); }
