// Calls of operators as a profiler sees them. Internal.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// Runs the body of a call from Python: guarded, and told to the observer, if there is one.
template <class F>
PyObject* watched(const char* name, F&& body) {
  const InterpreterSection section;
  CallObserver* const observer = call_observer;
  if (FLAMBEAU_LIKELY(!observer)) return guarded<PyObject*>(nullptr, body);
  observer->begin(name);
  PyObject* const result = guarded<PyObject*>(nullptr, body);
  return observer == call_observer ? observer->end(name, result) : result;  // it may be gone
}

}  // namespace flambeau::python
