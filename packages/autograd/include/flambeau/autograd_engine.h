// Automatic differentiation in C++: libflambeau-autograd.so, the CMake target flambeau::autograd. No Python is needed.
//
// Operators record what they do with a tensor that requires a gradient (Note [Recording] in autograd.h), except while a
// NoGrad of the same thread lives. Graphs are recorded, run and dropped by one thread at a time; the kernels under them
// use all threads. An extension module of Python calls these functions with the GIL held and in an InterpreterSection.
#pragma once

#include <functional>
#include <vector>

#include "flambeau/autograd.h"

namespace flambeau::autograd {

// Asks for gradients of a leaf, a tensor that no recorded operation has computed, or stops asking for them.
FLAMBEAU_API void set_requires_grad(const Tensor& t, bool requires_grad);

// The gradient that backward() has added up for a tensor, undefined if there is none. It may be assigned:
// `gradient_of(t) = Tensor()` clears it.
inline Tensor& gradient_of(const Tensor& t) { return meta_of(t).grad; }

struct BackwardOptions {
  bool retain_graph = false;  // the graph can run again; otherwise it frees what it saved
  bool create_graph = false;  // record the gradients, so that they can be differentiated; retains the graph
};

// Adds the gradients of `t` to those of the leaves it was computed from. `gradient` has the shape of `t`; it may be
// left out for a real tensor of one element.
FLAMBEAU_API void backward(const Tensor& t, const Tensor& gradient = Tensor(), BackwardOptions options = {});

// The gradients of the sum of some outputs for each input, undefined for an input that none of them depends on. Changes
// no gradient of a leaf. `gradients`: one for each output, as for backward(), or none at all.
FLAMBEAU_API std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                                      const std::vector<Tensor>& gradients = {}, BackwardOptions options = {});

// Keeps the gradient of a tensor that is not a leaf for gradient_of().
FLAMBEAU_API void retain_grad(const Tensor& t);

// Calls a function with the gradient of a tensor once it is known. A defined result takes the place of the gradient.
// Returns a number for remove_hook().
FLAMBEAU_API int64_t register_hook(const Tensor& t, std::function<Tensor(const Tensor& gradient)> hook);
FLAMBEAU_API void remove_hook(int64_t hook);

// Drops the gradients of leaves that only these gradients' own graphs keep alive, as create_graph leaves them, and
// returns the number of these leaves. Under Python, the garbage collector calls it. Note [Cycles of gradients]
FLAMBEAU_API size_t collect_cycles();

}  // namespace flambeau::autograd
