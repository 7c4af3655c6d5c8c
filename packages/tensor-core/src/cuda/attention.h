// Attention on a GPU, Note [Attention].
#pragma once

#include "flambeau/device/attention_arguments.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

// Whether the kernels have room for rows of that length: of the value, or of the derivative, too.
bool attends(Dtype dtype, int64_t depth, int64_t width, bool derivative);
// Sizes, scale and mask of `a` are set, its pointers are not. Everything is contiguous and of one dtype, but for the
// logarithms, which are of what is computed in.
void attend(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
            const Tensor& logarithms);
struct AttentionGradients {
  Tensor query, key, value;
};
AttentionGradients attend_derivative(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value,
                                     const Tensor& out, const Tensor& logarithms, const Tensor& grad);

}  // namespace flambeau::cuda
