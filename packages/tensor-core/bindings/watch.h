// Calls of operators as a profiler sees them. Internal.
#pragma once

#include "object.h"

namespace flambeau::python {

// Runs the body of a call from Python: guarded, and told to the observer, if there is one.
template <class F>
PyObject* watched(const char* name, F&& body) {
  if (FLAMBEAU_LIKELY(!call_observer)) return guarded<PyObject*>(nullptr, body);
  call_observer->begin(name);
  return call_observer->end(name, guarded<PyObject*>(nullptr, body));
}

}  // namespace flambeau::python
