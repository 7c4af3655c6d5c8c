// The enumeration of reductions. It is separate from the kernel table, so that a new reduction recompiles few files.
#pragma once

#include "kernels/table.h"

namespace flambeau::kernels {

enum class Reduce : uint8_t {
#define REDUCTION(name, ...) name,
#include "flambeau/reductions.def"
};
#define REDUCTION(...) +1
static_assert(0
#include "flambeau/reductions.def"
              <= kReduceStateBytes);

}  // namespace flambeau::kernels
