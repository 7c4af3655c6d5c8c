// Arguments of the kernels of attention. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kAttentionDims = 8;  // maximum number of batch dimensions

// A batch of matrices whose rows are contiguous. Strides are in elements.
struct AttentionRows {
  const char* data;
  int64_t row, stride[kAttentionDims];
};

// A batch of matrices: queries and outputs have the shapes (queries, depth) and (queries, width), keys and values
// (keys, depth) and (keys, width). Results are contiguous.
struct AttentionArguments {
  int64_t batch, queries, keys, depth, width;
  int dims;  // dimensions of the batch
  int64_t size[kAttentionDims];
  double scale;
  bool causal;
  AttentionRows query, key, value;
  char* out;
  char* logarithms;  // logarithms of the sums of exponentials, (batch, queries) in the type of the computation
  // The keys can be divided into parts of part_keys keys. Each part then has separate results and logarithms, (batch,
  // parts, queries, ...), which have the type of the computation.
  int64_t parts = 1, part_keys = 0;
  // The mask is added to the scores. A boolean mask hides the keys whose entries are false. Null: no mask.
  AttentionRows mask;
  int64_t mask_column;
  bool boolean_mask;
  // Members that only the derivative uses. The derivative also reads `out` and `logarithms`.
  AttentionRows grad;
  char* means;  // sums of the gradient times the output over width, (batch, queries)
  char *grad_query, *grad_key, *grad_value;
};

// Merges the results of parts.
struct AttentionJoinArguments {
  const char *results, *part_logarithms;
  char *out, *logarithms;
  int64_t parts, queries, width;
};

}  // namespace flambeau::cuda
