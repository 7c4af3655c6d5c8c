// Arguments that name devices. Internal.
#pragma once

#include <Python.h>

namespace flambeau::python {

// A device, text, a number or None: of a type that Placement is made of, whether or not there is such a device.
bool names_device(PyObject* o);

}  // namespace flambeau::python
