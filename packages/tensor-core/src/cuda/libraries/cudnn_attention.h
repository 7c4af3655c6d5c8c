// Attention of half-precision tensors by cuDNN, which is loaded at run time if it is installed.
#pragma once

#include "device/layers/attention_arguments.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

inline constexpr int kLibraryDims = 2;  // maximum number of batch dimensions

// These functions compute attention, or its derivative, with the operands, results and statistics of the arguments.
// They return false if the library is not installed, is disabled, or does not support the problem; the contents of the
// results are then undefined.
bool library_attention(int device, Dtype dtype, const AttentionArguments& a);
bool library_attention_derivative(int device, Dtype dtype, const AttentionArguments& a);

}  // namespace flambeau::cuda
