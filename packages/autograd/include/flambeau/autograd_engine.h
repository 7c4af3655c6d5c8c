// Automatic differentiation in C++. The library libflambeau-autograd.so (CMake target flambeau::autograd) does not need
// Python.
//
// Operators record their calls with tensors that require a gradient (Note [Recording] in autograd.h), except while a
// NoGrad object exists in the same thread. Only one thread at a time may record, run and free a graph; kernels use all
// threads. A Python extension module must hold the GIL and an InterpreterSection when it calls these functions.
#pragma once

#include <functional>
#include <vector>

#include "flambeau/autograd.h"

namespace flambeau::autograd {

// Sets whether backward() computes a gradient for a leaf, that is, for a tensor that no recorded operation has
// computed.
FLAMBEAU_API void set_requires_grad(const Tensor& t, bool requires_grad);

// Returns the gradient that backward() has accumulated for a tensor, or an undefined tensor if it has none. The
// gradient can be assigned: `gradient_of(t) = Tensor()` clears it.
inline Tensor& gradient_of(const Tensor& t) { return meta_of(t).grad; }

struct BackwardOptions {
  bool retain_graph = false;  // if true, another backward pass is possible; if false, the saved tensors are freed
  bool create_graph = false;  // if true, the gradients are recorded and can be differentiated; implies retain_graph
};

// Computes the gradients of `t` and adds them to the gradients of the leaves from which `t` was computed. `gradient` is
// the gradient of `t` and has its shape. It is optional for a real tensor of one element.
FLAMBEAU_API void backward(const Tensor& t, const Tensor& gradient = Tensor(), BackwardOptions options = {});

// Returns the gradient of the sum of the outputs with respect to each input. It is undefined for an input on which the
// outputs do not depend. Does not change the gradients of leaves. `gradients` contains one gradient for each output, as
// for backward(), or is empty.
FLAMBEAU_API std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                                      const std::vector<Tensor>& gradients = {}, BackwardOptions options = {});

// Makes backward() keep the gradient of a tensor that is not a leaf. gradient_of() returns it.
FLAMBEAU_API void retain_grad(const Tensor& t);

// Registers a function that backward() calls with the gradient of a tensor when it has been computed. The gradient can
// be undefined. If the function returns a defined tensor, this tensor replaces the gradient. Returns a number for
// remove_hook().
FLAMBEAU_API int64_t register_hook(const Tensor& t, std::function<Tensor(const Tensor& gradient)> hook);
FLAMBEAU_API void remove_hook(int64_t hook);

// Releases the gradients of leaves that are kept alive only by the graphs of these gradients. create_graph causes these
// reference cycles. Returns the number of released leaves. Python's garbage collector calls this function.
// Note [Cycles of gradients]
FLAMBEAU_API size_t collect_cycles();

}  // namespace flambeau::autograd
