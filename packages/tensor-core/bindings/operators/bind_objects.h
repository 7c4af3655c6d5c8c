// Objects that pybind11 binds, because they are not on a hot path. Internal.
#pragma once

#include <pybind11/pybind11.h>

namespace flambeau::python {

void bind_generator(pybind11::module_& m);

}  // namespace flambeau::python
