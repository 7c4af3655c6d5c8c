// Recording of operations whose derivatives are Python functions.
#pragma once

#include <span>
#include <string_view>

#include "tensor/object.h"

namespace flambeau::python {

struct PythonRecording {
  std::string_view name;  // name of the operator in CamelCase
  std::string_view kind;  // how the results are related to the inputs: "fresh", "view" or "in_place"
  std::span<const Tensor* const> results, inputs, saved;
  PyObject* derivative;       // a function derivative(gradients, saved, needs) that returns the gradients of the inputs
  PyObject* first = nullptr;  // additional first argument of `derivative`, or null
};

// Records the call if an input requires grad, so that the results get the derivative.
void record_in_python(const PythonRecording& r);

}  // namespace flambeau::python
