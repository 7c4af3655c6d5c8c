// Elementwise reductions of arrays from several ranks. Internal to flambeau.distributed.
#pragma once

#include <cstddef>
#include <string_view>

namespace flambeau::distributed {

// Reduces n elements of each input into `out`, in the order of the ranks. `count` is at least 2. `out` may be the same
// memory as one of the first two inputs, but must not overlap the inputs in any other way.
using Reduction = void (*)(char* out, const char* const* inputs, int count, size_t n);

// Returns the reduction for an operation ("sum", ...) and a dtype ("float32", ...), or null if it is not supported.
// Sets the size of an element in bytes.
Reduction reduction(std::string_view operation, std::string_view dtype, size_t& element_size);

}  // namespace flambeau::distributed
