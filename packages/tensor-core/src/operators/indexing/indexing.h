// Declarations for the operators that read and write at computed positions. Internal.
#pragma once

#include <initializer_list>

#include "core/words.h"
#include "flambeau/operators.h"
#include "tasks/blocks.h"

namespace flambeau {

// The index as int64; an error that names the operator for any other dtype than int32 and int64.
Tensor index_tensor(const Tensor& index, const char* name);
// Raises E unless every entry lies in [-size or 0, size); whether any of them is negative. Of a GPU's index it is not
// known before the kernel that uses it has run (cuda/runtime/report.h): then true.
enum class Negative : uint8_t { Refused, FromEnd };
template <class E>
bool check_range(const Tensor& index, int64_t size, Negative negative, const char* prefix, int64_t dim);
extern template bool check_range<Error>(const Tensor&, int64_t, Negative, const char*, int64_t);
extern template bool check_range<IndexError>(const Tensor&, int64_t, Negative, const char*, int64_t);

// The same of n entries from `low` on, by the thread that is about to use them.
template <class E>
bool check_entries(const int64_t* entries, int64_t n, int64_t low, int64_t size, const char* prefix, int64_t dim);
extern template bool check_entries<Error>(const int64_t*, int64_t, int64_t, int64_t, const char*, int64_t);

// The reduction that scatter_reduce and index_reduce call by this name.
Fold fold_of(std::string_view name);

// The target of a writing operator: the tensor or a copy of it.
struct Target {
  Tensor out;
  const Tensor& input;
  Recording::Kind kind;
};
// To be called after everything has been checked. `read`: what must not lie in the memory to be written.
Target target_of(const Tensor& t, Write write, const char* name, std::initializer_list<const Tensor*> read);

// `source`, contiguous and outside the memory of `target`: copied where it is not.
Tensor settled(const Tensor& source, const Tensor& target);

// Binds the first parameter of a function, which selects the new tensor or the in-place result.
template <auto function, Write write>
inline constexpr auto writing = []<class... Args>(Tensor (*)(Write, Args...)) {
  return +[](Args... arguments) -> Tensor { return function(write, arguments...); };
}(+function);

// Records with any number of tensors among what is saved.
void record_saving(const char* name, const Target& target, TensorList inputs, const Tensors& saved,
                   Derivative derivative);

Blocks blocks_around(const Tensor& t, int64_t first_dim, int64_t last_dim);
// The offsets of `index` along `dim`; on the CPU every entry is known to be in range, a GPU looks now. Negative ones
// count from the end.
void pick(Blocks& blocks, const Tensor& t, int64_t dim, const Tensor& index, Negative negative);
// out, contiguous, becomes t's blocks in (outer, count, inner) order.
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
// t's blocks become combine(what they are, source), in the order of the offsets, with the same result for any number
// of threads; `source` is contiguous in (outer, count, inner) order, or one element for all.
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);

}  // namespace flambeau
