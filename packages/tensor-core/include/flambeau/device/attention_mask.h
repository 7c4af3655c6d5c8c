// Which keys a query sees, and what a mask adds to their scores.
#pragma once

#include <cmath>

#include "flambeau/device/attention_arguments.h"

namespace flambeau::cuda {

// Where the mask of a member of the batch begins.
inline int64_t mask_offset(const AttentionArguments& a, int64_t batch) {
  int64_t offset = 0;
  for (int d = a.mask_dims - 1; d >= 0; --d) {
    offset += batch % a.mask_size[d] * a.mask_stride[d];
    batch /= a.mask_size[d];
  }
  return offset;
}

// What a block of the forward pass goes through: the keys [begin, end) for queries that see none from `limit` on, those
// of a part where kParts. Its results are those of member `result` of a batch.
template <bool kParts>
struct KeyRange {
  int64_t result, batch, begin, end;

  KeyRange(const AttentionArguments& a, int64_t result, int64_t limit)
      : result(result),
        batch(kParts ? result / a.parts : result),
        begin(kParts ? result % a.parts * a.part_keys : 0),
        end(kParts && begin + a.part_keys < limit ? begin + a.part_keys : limit) {}
};

inline bool visible(const AttentionArguments& a, int64_t query, int64_t key) {
  return query < a.queries && key < a.keys && !(a.causal && key > query);
}

// A score from a product of a query and a key; -infinity where the key is not seen.
template <class V>
V score(const AttentionArguments& a, int64_t mask, int64_t query, int64_t key, V product) {
  if (!visible(a, query, key)) return -V(INFINITY);
  const V scaled = product * V(a.scale);
  if (!a.mask) return scaled;
  const int64_t at = mask + query * a.mask_row + key * a.mask_column;
  if (a.boolean_mask) return reinterpret_cast<const bool*>(a.mask)[at] ? scaled : -V(INFINITY);
  return scaled + reinterpret_cast<const V*>(a.mask)[at];
}

}  // namespace flambeau::cuda
