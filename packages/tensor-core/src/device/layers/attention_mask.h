// Offsets of the matrices of a batch, the keys that a query may attend to, and the mask.
#pragma once

#include <cmath>

#include "device/layers/attention_arguments.h"

namespace flambeau::cuda {

// Returns the offset, in elements, of a matrix in the batch. The number of matrices fits in 32 bits, because the number
// of blocks limits it.
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

// One matrix of a batch. Offsets within a tile are less than 2**31 elements.
template <class T>
struct MemberRows {
  const T* data;
  int64_t stride;

  MemberRows(const T* data, int64_t stride) : data(data), stride(stride) {}
  MemberRows(const AttentionArguments& a, const AttentionRows& rows, int64_t batch)
      : data(reinterpret_cast<const T*>(rows.data) + member_offset(a, rows, batch)), stride(rows.row) {}
  // Returns the stride in a way that the compiler cannot analyse. If it could, it would compute many addresses before a
  // loop and keep them in registers.
  int opaque_stride() const {
    int opaque = int(stride);
    asm volatile("" : "+r"(opaque));
    return opaque;
  }
};

// The range of keys [begin, end) that a block processes in the forward pass, for queries that may attend only to keys
// before `limit`. If kParts, these are the keys of one part. `result` is the index of the block's results in the batch.
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

// Returns the score for the product of a query and a key, or -infinity if the key is hidden.
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
