// Types that are bound with pybind11, because they are not performance-critical.
#pragma once

#include <pybind11/pybind11.h>

namespace flambeau::python {

void bind_generator(pybind11::module_& m);

}  // namespace flambeau::python
