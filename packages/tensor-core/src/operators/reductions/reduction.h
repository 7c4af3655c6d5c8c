// Declarations for the reductions.
//
// Note [Reducing]
// A tensor without gaps in memory is reduced in its memory order. Adjacent dimensions that are both reduced, or both
// kept, are merged. Then the reduced dimensions are processed one by one, the last first. Each step maps (outer,
// length, inner) to (outer, inner) and reads its input once. Long steps with few results are divided into blocks, whose
// partial results are reduced again. The division, and with it the order of additions, depends only on shapes, not on
// the number of threads.
#pragma once

#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/reduction_numbers.h"

namespace flambeau {

// Returns a mask with one bit for each reduced dimension. If no dimension is given, all are reduced. Raises
// RuntimeError for duplicates.
uint64_t dim_mask(const Tensor& t, const OptionalDims& dims);
Shape kept_shape(const Tensor& t, const OptionalDims& dims);  // the shape of t with size 1 in the reduced dimensions
Shape reduced_shape(const Tensor& t, const OptionalDims& dims, bool keepdim);
int64_t reduced_count(const Tensor& t, const OptionalDims& dims);
void require_elements(const Tensor& t, const OptionalDims& dims, const char* name);

// Adjacent dimensions in memory order that are treated as one, because all of them are reduced or all are kept.
struct Segment {
  int64_t size;
  bool reduced;
};
struct ReductionLayout {
  Tensor input;  // the tensor with its dimensions in memory order, contiguous
  Shape order;   // the dimensions in memory order; empty if this order is 0, 1, 2, ...
  SmallVector<Segment, 8> segments;
};
ReductionLayout layout(const Tensor& t, uint64_t mask);
// Returns `flat` as a tensor of the reduced shape. `flat` is a new vector with one result for each kept element, in the
// order of the layout.
Tensor reshape_reduced(const Tensor& flat, const ReductionLayout& l, const Tensor& t, uint64_t mask, bool keepdim);

// Computes a reduction of the operator table in the given dtype, and records its derivative. `node`: name of the node
// in the autograd graph, if it differs from the name of the reduction.
Tensor reduction(kernels::Reduce row, const Tensor& t, const OptionalDims& dims, bool keepdim, Dtype type,
                 const char* node = nullptr);
// Raises an error for complex numbers.
void require_order(const Tensor& t, const char* name);
// Raises an error if there are no elements.
void require_any(const Tensor& t, const char* name);

// Computes a reduction in the dtype of its accumulator, without recording.
Tensor reduce(kernels::Reduce op, const Tensor& t, const OptionalDims& dims, bool keepdim);

// Converts a tensor to `type`, the dtype of the reduction's result, unless the accumulator for this tensor already has
// this dtype.
Tensor cast_for_reduction(kernels::Reduce op, const Tensor& t, Dtype type);

// Returns the reduction that combines partial results.
kernels::Reduce join_of(kernels::Reduce op);

// Computes two reductions of all elements in one pass over memory.
TensorPair reduce_both(kernels::Reduce first, kernels::Reduce second, const Tensor& t);

// Divides the elements of a tensor by a number, in place. The tensor must be new and have the dtype of an accumulator.
void divide_in_place(const Tensor& t, double divisor);

// Returns the number of rows in a block, if a step of this shape is divided into blocks of about `block` elements.
// Returns `length` if it is not divided.
int64_t block_length(int64_t outer, int64_t length, int64_t inner, int64_t block = 65536);

// Divides a step into ranges and calls body(first outer index, number of outer indices, first column, number of
// columns) for each range, on several threads if the step is large.
template <class F>
void over_step(int64_t outer, int64_t length, int64_t inner, F&& body) {
  constexpr int64_t kWork = 32768, kColumns = 1024;
  if (outer == 0 || inner == 0) return;
  if (outer * std::max<int64_t>(length, 1) * inner <= kWork) return body(int64_t(0), outer, int64_t(0), inner);
  if (inner <= kColumns) {
    parallel_items(outer, std::max<int64_t>(1, kWork / (length * inner + 1)),
                   [&](int64_t begin, int64_t end) { body(begin, end - begin, int64_t(0), inner); });
    return;
  }
  const int64_t tiles = (inner + kColumns - 1) / kColumns;
  parallel_items(outer * tiles, std::max<int64_t>(1, kWork / (length * kColumns + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % tiles * kColumns;
      body(i / tiles, int64_t(1), column, std::min(kColumns, inner - column));
    }
  });
}

// For vmap: applies a reduction to a tensor that has an additional leading batch dimension.
template <auto function>
struct Batched;
template <class... Rest, Tensor (*function)(const Tensor&, const OptionalDims&, Rest...)>
struct Batched<function> {
  static Tensor call(const Tensor& t, const OptionalDims& dims, Rest... rest) {
    const int64_t rank = t.dim() - 1;
    Shape behind;
    if (dims)
      for (const int64_t dim : *dims) behind.push_back(1 + Tensor::wrap_dim(dim, rank));
    if (rank == 0) return reshape(function(unsqueeze(t, 1), Shape{1}, rest...), t.shape());
    for (int64_t dim = 1; dim <= rank && (!dims || dims->empty()); ++dim) behind.push_back(dim);
    return function(t, behind, rest...);
  }
};

}  // namespace flambeau
