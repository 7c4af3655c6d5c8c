// Launch of reductions, shared by all families of operators that reduce.
#pragma once

#include <string>

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/plans.h"
#include "device/reductions/reduce_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Returns the module with the kernels of an operation on elements of a dtype. `header` is the file in src/device that
// defines it: a reduction, or an operation that rewrites lines (lines.h).
std::unique_ptr<CudaModule> reduction(const char* op, Dtype in, const char* header = "reductions/reduce");
std::unique_ptr<CudaModule> lines(const char* header, const char* op, Dtype in);

inline int64_t accumulator_size(Dtype d) {  // half-precision dtypes are accumulated in float32
  return is_floating(d) && item_size(d) < 4 ? 4 : item_size(d);
}

// Runs one reduction. The caller has set a.in, a.out and the other fields that the operation reads. `state` is the size
// of its states.
void run_reduction(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size,
                   int64_t state);
void run_lines(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size);
// First half of a reduction whose dimensions cannot be reduced in one step: returns the states of a step, to be joined
// later.
Tensor states_of(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size, int64_t state);
void join_states(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step);
Tensor join_states_again(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step,
                         int64_t state);  // the results are states, which join_states() joins later

}  // namespace flambeau::cuda
