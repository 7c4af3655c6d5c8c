// Launches of reduction kernels, for all operators that reduce.
#pragma once

#include <string>

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/plans.h"
#include "device/reductions/reduce_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// These functions return the module with the kernels of an operation on elements of a dtype. `header` is the file in
// src/device that defines the operation. lines() is for operations that write rows or columns instead of reducing them
// (lines.h).
std::unique_ptr<CudaModule> reduction(const char* op, Dtype in, const char* header = "reductions/reduce");
std::unique_ptr<CudaModule> lines(const char* header, const char* op, Dtype in);

inline int64_t accumulator_size(Dtype d) {  // half-precision elements are accumulated in float32
  return is_floating(d) && item_size(d) < 4 ? 4 : item_size(d);
}

// Runs a reduction along one dimension. The caller sets a.in, a.out and the other fields that the operation reads.
// `state` is the size in bytes of a partial result.
void run_reduction(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size,
                   int64_t state);
void run_lines(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size);
// Begins a reduction over dimensions that cannot be reduced in one step: reduces along the middle dimension of `step`
// and returns partial results (states), which join_states() combines later.
Tensor states_of(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size, int64_t state);
void join_states(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step);
Tensor join_states_again(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step,
                         int64_t state);  // reduces the number of states; join_states() combines them later

}  // namespace flambeau::cuda
