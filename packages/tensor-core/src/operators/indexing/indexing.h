// Declarations for operators that read and write at the positions in an index tensor.
#pragma once

#include <initializer_list>

#include "core/words.h"
#include "flambeau/operators.h"
#include "tasks/blocks.h"

namespace flambeau {

// Returns the index as int64. Raises an error that names the operator unless its dtype is int32 or int64.
Tensor index_tensor(const Tensor& index, const char* name);
// Rejected: a negative index raises an error. FromEnd: a negative index counts from the end.
enum class NegativeIndex : uint8_t { Rejected, FromEnd };
// Raises an error of class E unless every entry is in [0, size), or in [-size, size) if negative entries count from the
// end. Returns true if any entry is negative. Entries on a GPU are not checked before the kernel that uses them runs
// (cuda/runtime/report.h), so the result is then true.
template <class E>
bool check_range(const Tensor& index, int64_t size, NegativeIndex negative, const char* prefix, int64_t dim);
extern template bool check_range<Error>(const Tensor&, int64_t, NegativeIndex, const char*, int64_t);
extern template bool check_range<IndexError>(const Tensor&, int64_t, NegativeIndex, const char*, int64_t);

// Checks that n entries are in [low, size), and returns true if any is negative. Call this in the thread that uses the
// entries, so that they are in the cache of its core.
template <class E>
bool check_entries(const int64_t* entries, int64_t n, int64_t low, int64_t size, const char* prefix, int64_t dim);
extern template bool check_entries<Error>(const int64_t*, int64_t, int64_t, int64_t, const char*, int64_t);

// Returns the reduction that has this name in scatter_reduce and index_reduce.
ScatterReduction scatter_reduction_of(std::string_view name);

// The tensor to which an operator writes: the input itself or a copy of it.
struct Target {
  Tensor out;
  const Tensor& input;
  Recording::Kind kind;
};
// Prepares the target of a write. Call this after all checks. `read`: tensors that must not overlap the memory to be
// written. `may_overlap`: elements of t may share memory.
Target target_of(const Tensor& t, Write write, const char* name, std::initializer_list<const Tensor*> read,
                 bool may_overlap = false);

// Returns a view in which expanded dimensions (stride 0) have size 1.
Tensor without_repeats(const Tensor& t);

// Returns `source`, or a contiguous copy if it is not contiguous or overlaps `target`.
Tensor without_overlap(const Tensor& source, const Tensor& target);

// A function that calls `function` with `write` as the first argument. `write` selects a new tensor or the in-place
// form.
template <auto function, Write write>
inline constexpr auto writing = []<class... Args>(Tensor (*)(Write, Args...)) {
  return +[](Args... arguments) -> Tensor { return function(write, arguments...); };
}(+function);

// Records a node that saves the given tensors. Their number is not limited.
void record_saving(const char* name, const Target& target, TensorList inputs, const Tensors& saved,
                   Derivative derivative);

Blocks blocks_around(const Tensor& t, int64_t first_dim, int64_t last_dim);
// Sets the offsets of the blocks, which are the slices of t along `dim` at the entries of `index`. Negative entries
// count from the end. On the CPU, the entries must have been checked before. On a GPU, the kernel checks them.
void pick(Blocks& blocks, const Tensor& t, int64_t dim, const Tensor& index, NegativeIndex negative);
// Copies the blocks of t to `out`, which is contiguous and has the order (outer, count, inner).
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
// Sets each element of t's blocks to combine(old value, element of source), in the order of the offsets. The result
// does not depend on the number of threads. `source` is contiguous in the order (outer, count, inner), or a single
// element.
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);

}  // namespace flambeau
