// What the operators that read and write at computed positions share. Internal.
#pragma once

#include <initializer_list>

#include "flambeau/combine.h"
#include "flambeau/operators.h"

namespace flambeau {

struct Word16 {
  uint64_t low, high;
};
// Elements as plain bytes of their size, for copies that do not look at them.
template <class F>
decltype(auto) dispatch_size(int64_t size, F&& f) {
  switch (size) {
    case 1:
      return f(TypeTag<uint8_t>{});
    case 2:
      return f(TypeTag<uint16_t>{});
    case 4:
      return f(TypeTag<uint32_t>{});
    case 8:
      return f(TypeTag<uint64_t>{});
    default:
      return f(TypeTag<Word16>{});
  }
}

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

// What a writing operator writes into: the tensor itself, or a copy of it.
struct Target {
  Tensor out;
  const Tensor& input;
  Recording::Kind kind;
};
// To be called after everything has been checked. `read`: what must not lie in the memory to be written.
Target target_of(const Tensor& t, Write write, const char* name, std::initializer_list<const Tensor*> read);

// `source`, contiguous and outside the memory of `target`: copied where it is not.
Tensor settled(const Tensor& source, const Tensor& target);

// Records with any number of tensors among what is saved.
void record_saving(const char* name, const Target& target, TensorList inputs, const Tensors& saved,
                   Derivative derivative);

// Note [Blocks]
// Indexing sees a tensor as (outer, length, inner): the dimensions before and after those that are indexed. What is
// picked is `count` offsets into the middle; each stands for a block of the inner dimensions.
struct Blocks {
  Shape outer_size, outer_stride, inner_size, inner_stride;
  int64_t outer = 1, inner = 1, count = 0;
  Tensor offsets;                // int64, in elements
  int64_t step = 1, extent = 1;  // what all offsets are multiples of; more than the largest of them can be
  bool distinct = false;         // whether they are known to be different
};
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
