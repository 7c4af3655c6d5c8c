// Recognition of arguments that describe devices.
#pragma once

#include <Python.h>

namespace flambeau::python {

// Returns true if the object has a type that can describe a device: a device, a str, an int or None. The device need
// not exist.
bool names_device(PyObject* o);

}  // namespace flambeau::python
