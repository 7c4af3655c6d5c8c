// Declarations for the operators that read and write at computed positions. Internal.
#pragma once

#include <initializer_list>

#include "core/words.h"
#include "flambeau/operators.h"
#include "tasks/blocks.h"

namespace flambeau {

// Returns the index as int64. Raises an error that names the operator unless its dtype is int32 or int64.
Tensor index_tensor(const Tensor& index, const char* name);
// Negative indices raise an error or count from the end.
enum class Negative : uint8_t { Refused, FromEnd };
// Raises E unless every entry is in [0, size), or [-size, size) if negative entries count from the end. Returns true if
// any is negative. For an index on a GPU this is unknown until the kernel that uses it has run
// (cuda/runtime/report.h), so the result is true.
template <class E>
bool check_range(const Tensor& index, int64_t size, Negative negative, const char* prefix, int64_t dim);
extern template bool check_range<Error>(const Tensor&, int64_t, Negative, const char*, int64_t);
extern template bool check_range<IndexError>(const Tensor&, int64_t, Negative, const char*, int64_t);

// Checks that n entries are in [low, size). Returns true if any is negative. The thread that uses the entries calls
// this, so that they are in its cache.
template <class E>
bool check_entries(const int64_t* entries, int64_t n, int64_t low, int64_t size, const char* prefix, int64_t dim);
extern template bool check_entries<Error>(const int64_t*, int64_t, int64_t, int64_t, const char*, int64_t);

// Returns the reduction with this name in scatter_reduce and index_reduce.
Fold fold_of(std::string_view name);

// The target of a writing operator: the tensor or a copy of it.
struct Target {
  Tensor out;
  const Tensor& input;
  Recording::Kind kind;
};
// Call this after all checks. `read`: tensors that must not overlap the written memory.
Target target_of(const Tensor& t, Write write, const char* name, std::initializer_list<const Tensor*> read);

// Returns `source`, or a contiguous copy if it is not contiguous or overlaps `target`.
Tensor without_overlap(const Tensor& source, const Tensor& target);

// Returns a function that calls `function` with `write` as the first argument, which selects a new tensor or the
// in-place form.
template <auto function, Write write>
inline constexpr auto writing = []<class... Args>(Tensor (*)(Write, Args...)) {
  return +[](Args... arguments) -> Tensor { return function(write, arguments...); };
}(+function);

// Records a node that saves any number of tensors.
void record_saving(const char* name, const Target& target, TensorList inputs, const Tensors& saved,
                   Derivative derivative);

Blocks blocks_around(const Tensor& t, int64_t first_dim, int64_t last_dim);
// Computes the offsets of `index` along `dim`. Negative entries count from the end. On the CPU, entries must have been
// checked before. On a GPU, the kernel checks them.
void pick(Blocks& blocks, const Tensor& t, int64_t dim, const Tensor& index, Negative negative);
// Copies t's blocks to out, which is contiguous in (outer, count, inner) order.
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
// Sets t's blocks to combine(old value, source), in the order of the offsets; the result does not depend on the number
// of threads. `source` is contiguous in (outer, count, inner) order, or a single element.
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);

}  // namespace flambeau
