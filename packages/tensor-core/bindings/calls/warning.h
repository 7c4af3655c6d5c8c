// Warnings that programs see. Internal.
#pragma once

#include <string>

#include "tensor/object.h"

namespace flambeau::python {

// A UserWarning at the line that called; throws where warnings are errors.
inline void warn(const std::string& text) {
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) throw PythonError();
}

}  // namespace flambeau::python
