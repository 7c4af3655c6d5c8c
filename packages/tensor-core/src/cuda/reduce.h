// How reductions are launched, for the families that are made of them.
#pragma once

#include <string>

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/plans.h"
#include "device/reductions/reduce_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// The module of an operation on elements of a dtype, which stands in a header of src/device: a reduction's, or one's
// that writes lines anew (lines.h).
std::unique_ptr<CudaModule> reduction(const char* op, Dtype in, const char* header = "reductions/reduce");
std::unique_ptr<CudaModule> lines(const char* header, const char* op, Dtype in);

inline int64_t accumulator_size(Dtype d) {  // half-precision dtypes are accumulated in float32
  return is_floating(d) && item_size(d) < 4 ? 4 : item_size(d);
}

// Runs one: a.in, a.out and what else the operation reads are set. `state` is the size of its states.
void run_reduction(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size,
                   int64_t state);
void run_lines(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size);
// The reduction in two steps, for what does not lie as one step: the states of a step, which are joined later.
Tensor states_of(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size, int64_t state);
void join_states(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step);
Tensor join_states_again(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step,
                         int64_t state);  // to states

}  // namespace flambeau::cuda
