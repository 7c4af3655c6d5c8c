// __torch_function__: classes, derived from Tensor or not, that answer for their instances, and modes that do for all
// calls.
// Note [Interception] Internal.
#pragma once

#include <vector>

#include "tensor/object.h"

namespace flambeau::python {

bool may_override(PyObject* o);
// After a call was refused, by a TypeError if by any: whether there are objects among the arguments that are no
// tensors, and whose classes have a __torch_function__ that nobody knew of. From now on they are asked.
bool found_strangers(PyObject* const* args, size_t count);
// Those who are asked, in their order: from left to right, subclasses before their bases.
// They are held: what is asked may change the list that an argument came in.
std::vector<Object> overriding(PyObject* const* args, size_t count);
PyObject* ask_classes(PyObject* callable, const std::vector<Object>& asked, PyObject* const* args, size_t count,
                      PyObject* kwnames);

// Whether a flambeau.overrides.TorchFunctionMode is entered in this thread, and what the innermost one answers.
bool in_mode();
Object ask_mode(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);

void bind_overrides(PyObject* module);

}  // namespace flambeau::python
