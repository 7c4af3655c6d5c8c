// Calls that somebody else answers than the operator called.
//
// Note [Interception]
// Four things may stand between a call from Python and an operator:
//   - A class derived from Tensor answers for its instances with a class method __torch_function__(func, types, args,
//     kwargs), which is PyTorch's protocol (flambeau.overrides).
//   - While a function is mapped over a batch (flambeau.func.vmap), one object of the placeholder type stands for all
//     the batch's tensors. This library sees the shape and dtype of one of them and no elements; the handler that
//     vmap has registered answers for it.
//   - A call with a tensor of another device than the CPU among its arguments makes what it makes there. Note [Devices]
//   - Autocast calls the operator again with other tensors. Note [Autocast]
// No operator computes on a placeholder by mistake: is_tensor() denies it, and the type's own slots, which see it as
// self, ask here first. Where none is in use, all this costs is reading one word.
#pragma once

#include <array>
#include <atomic>

#include "object.h"

namespace flambeau::python {

// Reasons to look at arguments: classes with __torch_function__, maps that run, placeholders that live and tensors of
// other devices than the CPU, threads in autocast.
extern std::atomic<int> interceptions;

// If somebody else answers for callable(*args), true; `result` is the answer, null where an exception is set.
bool ask_others(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames, PyObject*& result);
bool ask_others(const char* method, PyObject* const* args, size_t count, PyObject*& result);  // of Tensor
bool ask_others_for_attribute(PyObject* self, const char* name, PyObject* value, PyObject*& result);

inline bool intercepted(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames, PyObject*& result) {
  return FLAMBEAU_UNLIKELY(interceptions.load(std::memory_order_relaxed)) &&
         ask_others(callable, args, count, kwnames, result);
}
template <class... Arguments>
inline bool method_intercepted(const char* name, PyObject*& result, Arguments*... args) {
  if (FLAMBEAU_LIKELY(!interceptions.load(std::memory_order_relaxed))) return false;
  const std::array<PyObject*, sizeof...(Arguments)> all{args...};
  return ask_others(name, all.data(), all.size(), result);
}

// A class was derived from Tensor: from now on its instances are looked for, unless it does not want to be asked.
void note_subclass(PyObject* type);
// The object that stands for the batch `value` and looks like `shell` (tensor_type.cpp).
PyObject* adopt_placeholder(const Tensor& shell, PyObject* value, PyObject* level);

// The object of a class derived from Tensor that is to stand for a fresh tensor (tensor_type.cpp).
PyObject* adopt_as(PyObject* type, const Tensor& fresh);

void bind_interception(PyObject* module);

}  // namespace flambeau::python
