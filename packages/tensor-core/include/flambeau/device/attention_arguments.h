// What the kernels of attention are told; both sides include this.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kAttentionDims = 8;         // of a batch
inline constexpr unsigned kMatrixThreads = 128;  // of a block where the matrix units multiply

// A batch of contiguous matrices: queries and outputs (queries, depth or width), keys and values (keys, ...).
struct AttentionArguments {
  int64_t batch, queries, keys, depth, width;
  double scale;
  bool causal;
  const char *query, *key, *value;
  char* out;
  char* logarithms;  // of the sums: (batch, queries) in what is computed in
  // Parts of so many keys have results and logarithms of their own: (batch, parts, queries, ...) in what is computed
  // in, also the results where there are several parts.
  int64_t parts = 1, part_keys = 0;
  // Added to the scores; of booleans false hides. null: none. Its batch is that of the matrices, in its own dimensions.
  const char* mask;
  bool boolean_mask;
  int mask_dims;
  int64_t mask_size[kAttentionDims], mask_stride[kAttentionDims], mask_row, mask_column;
  // Of the derivative: `out` and `logarithms` are read, too.
  const char* grad;
  char* means;  // of the gradient times the output: (batch, queries)
  char *grad_query, *grad_key, *grad_value;
};

// Joins the results of parts.
struct AttentionJoinArguments {
  const char *results, *part_logarithms;
  char *out, *logarithms;
  int64_t parts, queries, width;
};

}  // namespace flambeau::cuda
