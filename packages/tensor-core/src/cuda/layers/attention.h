// Attention on a GPU, Note [Attention].
#pragma once

#include <algorithm>

#include "cuda/runtime/launch.h"
#include "device/layers/attention_arguments.h"
#include "tasks/attention.h"

namespace flambeau::cuda {

// A division of the keys into parts. If there are not enough tiles of queries to keep a GPU busy, the parts are
// processed in parallel and their results are joined. The division depends only on the shape, so that all GPUs of an
// architecture give the same results.
struct KeyParts {
  int64_t count, length;  // number of parts; number of keys of each part except the last
};
inline KeyParts key_parts(int64_t batch, int64_t queries, int64_t keys, bool causal) {
  // The number of blocks that keeps a GPU busy; the minimum number of keys of a part; the number of queries of a block.
  constexpr int64_t kEnough = 256, kShortest = 256, kRows = 64;
  const int64_t seen = causal ? std::min(queries, keys) : keys, blocks = batch * divide_up(queries, kRows);
  const int64_t wanted = std::min(kEnough / std::max<int64_t>(blocks, 1), seen / kShortest);
  if (wanted < 2 || seen < 4 * kShortest) return {1, keys};
  const int64_t length = divide_up(divide_up(seen, wanted), kRows) * kRows;
  return {divide_up(seen, length), length};
}

// Returns true if the kernels support rows of these lengths in the forward pass and, if `derivative`, also in the
// backward pass.
bool attends(Dtype dtype, int64_t depth, int64_t width, bool derivative);
// Returns a tensor (*, rows, columns) in a layout that the kernels can read. Returns the tensor itself if its rows are
// contiguous and, for tensor cores, aligned to 16 bytes; otherwise returns a contiguous copy. Other strides are
// arbitrary, except that rows must not be too far apart.
Tensor readable(const Tensor& t);
// Before these calls, set the sizes, the scale and the mask of `a`, but not its pointers. The inputs have the shape
// (batch..., rows, columns) and come from readable(). `out` and the results are contiguous. All tensors have the same
// dtype, except for the logarithms, which have the dtype of the computation.
void attend(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
            const Tensor& logarithms);
AttentionGradients attend_derivative(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value,
                                     const Tensor& out, const Tensor& logarithms, const Tensor& grad);

}  // namespace flambeau::cuda
