// Values that are computed from a tensor's elements and kept until the elements change.
//
// Note [Kept values]
// Kept values are valid while the tensor has the same memory and version, unless something may have changed the
// memory without counting. Changes of `x.data`, the replacement of a tensor's memory, and exports of memory to Python,
// such as numpy(), increase uncounted_changes(). An array that numpy() returned can change elements at any time, but it
// holds a reference to the storage. Therefore nothing is kept unless the tensor holds the only reference to its storage
// (is_private). One change remains undetected: a write through an address that data_ptr() returned before the values
// were computed.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

FLAMBEAU_API uint64_t uncounted_changes();
FLAMBEAU_API void count_uncounted_change();

// Raises the version of a storage that replaces another storage of this version, so that the version of the tensor does
// not decrease. Note [Versions]
FLAMBEAU_API void raise_version(Storage& storage, uint32_t version);

// Returns true if the elements belong to this tensor alone: the library allocated their memory, and no view, array or
// other process refers to it.
FLAMBEAU_API bool is_private(const Tensor& t);

}  // namespace flambeau
