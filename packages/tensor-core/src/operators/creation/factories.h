// Types and functions that several factories use.
#pragma once

#include "flambeau/operator.h"

namespace flambeau {

using MaybeDtype = std::optional<Dtype>;
using MaybeFormat = std::optional<MemoryFormat>;

inline Tensor empty_like(const Tensor& t, MaybeDtype dtype, MaybeFormat format) {
  return empty_strided(t.shape(), strides_like(t, format.value_or(MemoryFormat::Preserve)), dtype.value_or(t.dtype()));
}

}  // namespace flambeau
