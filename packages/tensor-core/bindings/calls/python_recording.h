// Results of computations that are differentiated in Python. Internal.
#pragma once

#include <span>
#include <string_view>

#include "tensor/object.h"

namespace flambeau::python {

struct PythonRecording {
  std::string_view name;  // of the operator in CamelCase
  std::string_view kind;  // of the results: "fresh", "view" or "in_place"
  std::span<const Tensor* const> results, inputs, saved;
  PyObject* derivative;       // derivative(gradients, saved, needs) -> gradients of the inputs
  PyObject* first = nullptr;  // the first argument of `derivative`, before the gradients, if there is one
};

// Attach the derivative to the results if an input requires grad.
void record_in_python(const PythonRecording& r);

}  // namespace flambeau::python
