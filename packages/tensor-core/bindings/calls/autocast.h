// Operators in the dtype that flambeau.autocast chooses for them.
//
// Note [Autocast]
// Inside of flambeau.autocast an operator gets its floating-point tensors in another dtype than they have, and says
// itself in which one, where it is registered: products of matrices and convolutions in the region's dtype
// (kLowerPrecision), losses and decompositions in float32 (kFloat32), what joins tensors in the widest dtype of theirs
// (kWidest). Everything else computes in the dtypes it is given. float64 is left alone, and so are in-place forms and
// out=. The operator's own inside runs as if there were no region.
// The casts are recorded, so that a parameter's gradient arrives in the parameter's dtype; those of leaves that require
// a gradient are kept until the outermost region of the thread ends, so that a weight is cast once.
#pragma once

#include <string_view>

#include "tensor/object.h"

namespace flambeau::python {

// What the current thread's region wants of an operator with these flags: one of the three, or 0.
int autocast_policy(int flags, std::string_view name = {});
// Whether a region of any device's is open here, and no operator's own inside runs.
bool in_autocast();
// callable(*args) with the tensors among the arguments cast.
PyObject* call_autocast(PyObject* callable, int policy, PyObject* const* args, size_t count, PyObject* kwnames);

}  // namespace flambeau::python
