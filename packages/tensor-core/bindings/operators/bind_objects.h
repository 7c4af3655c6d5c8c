// The objects that pybind11 binds, because nothing hot goes through them. Internal.
#pragma once

#include <pybind11/pybind11.h>

namespace flambeau::python {

void bind_generator(pybind11::module_& m);

}  // namespace flambeau::python
