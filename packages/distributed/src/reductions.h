// Reductions of the ranks' numbers. Internal to flambeau.distributed.
#pragma once

#include <cstddef>
#include <string_view>

namespace flambeau::distributed {

// Reduces n elements of several ranks into out, in the order of the ranks. The inputs do not overlap the output.
using Reduction = void (*)(char* out, const char* const* inputs, int count, size_t n);

// Returns the function of an operation ("sum", ...) and a dtype ("float32", ...), or null. Sets the size of an element.
Reduction reduction(std::string_view operation, std::string_view dtype, size_t& element_size);

}  // namespace flambeau::distributed
