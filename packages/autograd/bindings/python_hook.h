// A hook of the engine that calls a Python function. Private to the bindings.
#pragma once

#include "bind.h"

namespace flambeau::autograd {

struct PythonHook {
  enum Kind {
    Gradient,  // hook of a tensor: function(gradient)
    Leaf,      // hook of a leaf, called after accumulation: function(leaf)
    Before,    // hook before a node: function(gradients of the outputs)
    After      // hook after a node: function(gradients of the inputs, gradients of the outputs)
  };
  void operator()(std::span<Tensor> values, std::span<const Tensor> outputs) const;

  pybind11::object function;
  Kind kind;
};

}  // namespace flambeau::autograd
