// Arguments that name devices. Internal.
#pragma once

#include <Python.h>

namespace flambeau::python {

// Returns true for objects of the types that describe a device: a device, a str, an int or None. Does not check that
// the device exists.
bool names_device(PyObject* o);

}  // namespace flambeau::python
