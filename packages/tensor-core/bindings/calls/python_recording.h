// Recording of operations whose derivatives are Python functions. Internal.
#pragma once

#include <span>
#include <string_view>

#include "tensor/object.h"

namespace flambeau::python {

struct PythonRecording {
  std::string_view name;  // name of the operator in CamelCase
  std::string_view kind;  // relation of the results to the inputs: "fresh", "view" or "in_place"
  std::span<const Tensor* const> results, inputs, saved;
  PyObject* derivative;       // derivative(gradients, saved, needs) -> gradients of the inputs
  PyObject* first = nullptr;  // additional first argument of `derivative`, or null
};

// Attaches the derivative to the results if an input requires grad.
void record_in_python(const PythonRecording& r);

}  // namespace flambeau::python
