// Checks before in-place changes, in addition to those of flambeau/autograd.h.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Raises an error if the shape of `self` must not be changed in place.
void begin_view_change(const Tensor& self);

// Returns true if elements share memory because a dimension has the stride 0.
bool is_expanded(const Tensor& t);
// Issues a warning if `self` is expanded, and returns whether it is expanded. `assignment`: example of an indexed
// assignment that calls the operation.
bool warn_if_expanded(const Tensor& self, const char* operation, const char* assignment);
// Like begin_inplace, but elements of `self` may share memory.
void begin_overlapping_change(const Tensor& self, const char* operation, bool recorded);

}  // namespace flambeau
