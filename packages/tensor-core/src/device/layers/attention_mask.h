// Where a member of the batch lies, which keys a query sees, and what a mask adds to their scores.
#pragma once

#include <cmath>

#include "device/layers/attention_arguments.h"

namespace flambeau::cuda {

// Where the matrix of a member of the batch begins, in elements. There are no more members than blocks.
inline int64_t member_offset(const AttentionArguments& a, const AttentionRows& rows, int64_t batch) {
  uint32_t rest = uint32_t(batch);
  int64_t offset = 0;
  for (int d = a.dims - 1; d >= 0; --d) {
    const uint32_t size = uint32_t(a.size[d]);
    offset += rest % size * rows.stride[d];
    rest /= size;
  }
  return offset;
}

// A member's matrix. The rows of a tile lie within 2**31 elements.
template <class T>
struct MemberRows {
  const T* data;
  int64_t stride;

  MemberRows(const T* data, int64_t stride) : data(data), stride(stride) {}
  MemberRows(const AttentionArguments& a, const AttentionRows& rows, int64_t batch)
      : data(reinterpret_cast<const T*>(rows.data) + member_offset(a, rows, batch)), stride(rows.row) {}
  // The stride, of which the compiler knows nothing: places computed from it would take registers through a whole loop.
  int opaque_stride() const {
    int opaque = int(stride);
    asm volatile("" : "+r"(opaque));
    return opaque;
  }
};

// The work of a block in the forward pass: the keys [begin, end), for queries that see no keys from `limit` on. With
// kParts the keys are those of one part. `result` is the index of its results in the batch.
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
  if (!a.mask.data) return scaled;
  const int64_t at = mask + query * a.mask.row + key * a.mask_column;
  if (a.boolean_mask) return reinterpret_cast<const bool*>(a.mask.data)[at] ? scaled : -V(INFINITY);
  return scaled + reinterpret_cast<const V*>(a.mask.data)[at];
}

}  // namespace flambeau::cuda
