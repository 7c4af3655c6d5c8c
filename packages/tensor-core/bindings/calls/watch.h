// Observation of operator calls, for the profiler.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// Runs the body of a call from Python, converts exceptions to Python errors, and notifies the call observer, if any.
template <class F>
PyObject* watched(const char* name, F&& body) {
  const InterpreterSection section;
  CallObserver* const observer = call_observer;
  if (FLAMBEAU_UNLIKELY(observer)) observer->begin(name);
  PyObject* const result = guarded<PyObject*>(nullptr, body);
  // The body may have removed the observer.
  return FLAMBEAU_UNLIKELY(observer) && observer == call_observer ? observer->end(name, result) : result;
}

}  // namespace flambeau::python
