// Arguments of the kernels of attention. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kAttentionDims = 8;         // of a batch
inline constexpr unsigned kMatrixThreads = 128;  // of a block where the matrix units multiply

// A matrix to each member of the batch, whose rows are contiguous. Strides are in elements.
struct AttentionRows {
  const char* data;
  int64_t row, stride[kAttentionDims];
};

// A batch of matrices: queries and outputs (queries, depth or width), keys and values (keys, ...). Results are
// contiguous.
struct AttentionArguments {
  int64_t batch, queries, keys, depth, width;
  int dims;  // of the batch
  int64_t size[kAttentionDims];
  double scale;
  bool causal;
  AttentionRows query, key, value;
  char* out;
  char* logarithms;  // of the sums: (batch, queries) in what is computed in
  // Each part of part_keys keys has separate results and logarithms: (batch, parts, queries, ...) in the dtype of the
  // computation. With several parts, this also holds for the results.
  int64_t parts = 1, part_keys = 0;
  // Added to the scores; of booleans false hides. null: none.
  AttentionRows mask;
  int64_t mask_column;
  bool boolean_mask;
  // Of the derivative: `out` and `logarithms` are read, too.
  AttentionRows grad;
  char* means;  // of the gradient times the output: (batch, queries)
  char *grad_query, *grad_key, *grad_value;
};

// Merges the results of parts.
struct AttentionJoinArguments {
  const char *results, *part_logarithms;
  char *out, *logarithms;
  int64_t parts, queries, width;
};

}  // namespace flambeau::cuda
