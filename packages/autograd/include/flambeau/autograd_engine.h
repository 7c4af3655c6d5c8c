// Automatic differentiation in C++: libflambeau-autograd.so, the CMake target flambeau::autograd. Does not need Python.
//
// Operators record what they do with a tensor that requires a gradient (Note [Recording] in autograd.h), unless a
// NoGrad object exists in the same thread. One thread at a time may record, run and free a graph; kernels use all
// threads. A Python extension module calls these functions with the GIL held and in an InterpreterSection.
#pragma once

#include <functional>
#include <vector>

#include "flambeau/autograd.h"

namespace flambeau::autograd {

// Sets whether a gradient is computed for a leaf, a tensor that is not the result of a recorded operation.
FLAMBEAU_API void set_requires_grad(const Tensor& t, bool requires_grad);

// Returns the gradient that backward() has accumulated for a tensor; undefined if there is none. It can be assigned:
// `gradient_of(t) = Tensor()` clears it.
inline Tensor& gradient_of(const Tensor& t) { return meta_of(t).grad; }

struct BackwardOptions {
  bool retain_graph = false;  // the graph can run again; otherwise its saved tensors are freed
  bool create_graph = false;  // record the gradients, so that they can be differentiated; implies retain_graph
};

// Adds the gradients of `t` to those of the leaves that it was computed from. `gradient` has the shape of `t`. It is
// optional for a real tensor of one element.
FLAMBEAU_API void backward(const Tensor& t, const Tensor& gradient = Tensor(), BackwardOptions options = {});

// Returns the gradients of the sum of some outputs with respect to each input; undefined for an input that the outputs
// do not depend on. Does not change the gradients of leaves. `gradients`: one for each output, as for backward(), or
// none.
FLAMBEAU_API std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                                      const std::vector<Tensor>& gradients = {}, BackwardOptions options = {});

// Retains the gradient of a tensor that is not a leaf for gradient_of().
FLAMBEAU_API void retain_grad(const Tensor& t);

// Calls a function with the gradient of a tensor when it is computed. The gradient is undefined if a derivative left it
// so. If the result is defined, it replaces the gradient. Returns a number for remove_hook().
FLAMBEAU_API int64_t register_hook(const Tensor& t, std::function<Tensor(const Tensor& gradient)> hook);
FLAMBEAU_API void remove_hook(int64_t hook);

// Releases the gradients of leaves that are kept alive only by the graphs of these gradients, which create_graph
// causes. Returns the number of these leaves. With Python, the garbage collector calls it. Note [Cycles of gradients]
FLAMBEAU_API size_t collect_cycles();

}  // namespace flambeau::autograd
