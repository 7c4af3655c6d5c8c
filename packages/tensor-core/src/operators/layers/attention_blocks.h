// Scaled dot-product attention on the CPU, for blocks of queries and keys.
#pragma once

#include <cstdint>
#include <vector>

#include "tasks/attention.h"

namespace flambeau {

struct AttentionSizes {
  int64_t batch, queries, keys, depth, width;  // width: size of each value vector
  double scale;
  bool causal;
};

// A mask as numbers that are added to the scores. Its last two dimensions are contiguous, and the others may be
// broadcast.
struct AttentionMask {
  Tensor values;
  std::vector<int64_t> offsets;  // offset of the mask's (query, key) matrix for each element of the batch

  AttentionMask(const Tensor& mask, const Shape& batch, const AttentionSizes& sizes, Dtype type);
  // Returns the numbers for a query and the keys from `key`, or null without a mask.
  const char* at(int64_t batch, int64_t query, int64_t key, const AttentionSizes& sizes) const;
};

// Returns the dtype in which the CPU multiplies elements of this dtype.
Dtype attention_dtype(Dtype dtype, const AttentionSizes& sizes);

// Computes the result, (batch, queries, width), and the logarithms of the sums of exponentials, (batch, queries). The
// operands have three dimensions. Operands and result have the dtype attention_dtype().
void attend(const AttentionSizes& sizes, const AttentionMask& mask, const Tensor& query, const Tensor& key,
            const Tensor& value, Tensor& out, Tensor& logarithms);

// Computes the gradients of `operands`, which are query, key and value. All tensors but the logarithms have the dtype
// of the result.
AttentionGradients attend_derivative(const AttentionSizes& sizes, const AttentionMask& mask,
                                     const Tensor (&operands)[3], const Tensor& gradient, const Tensor& out,
                                     const Tensor& logarithms);

}  // namespace flambeau
