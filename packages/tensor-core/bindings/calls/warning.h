// Python warnings.
#pragma once

#include <string>

#include "tensor/object.h"

namespace flambeau::python {

// Issues a UserWarning for the calling line. Throws an exception if the program turns warnings into errors.
inline void warn(const std::string& text) {
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) throw PythonError();
}

// Issues a UserWarning once per process, or at each call after set_warn_always(True).
inline void warn_once(const char* text) {
  const Object settings(checked(PyImport_ImportModule("flambeau._settings")));
  const Object done(checked(PyObject_CallMethod(settings.get(), "warn_once", "si", text, 2)));
}

}  // namespace flambeau::python
