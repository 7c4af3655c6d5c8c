// Calls that somebody else answers than the operator called.
//
// Note [Interception]
// Seven things may stand between a call from Python and an operator:
//   - A class derived from Tensor answers for its instances with a class method __torch_function__(func, types, args,
//     kwargs), which is PyTorch's protocol (flambeau.overrides). Of a class that is not derived from it nobody hears
//     when it is made: a call that refuses one of its instances finds it, and asks it from then on (found_strangers).
//   - A flambeau.overrides.TorchFunctionMode that is entered answers by a method of that name for every call in its
//     thread, before the classes.
//   - While a function is mapped over a batch (flambeau.func.vmap), one object of the placeholder type stands for all
//     the batch's tensors. This library sees the shape and dtype of one of them and no elements; the handler that
//     vmap has registered answers for it.
//   - A class derived from Tensor or a mode with __torch_dispatch__ answers for operators below autograd (Note
//     [Dispatch]).
//   - A call with a tensor of another device than the CPU among its arguments makes what it makes there: nobody else
//     answers for it, but its Caller enters that device's scope. Note [Devices]
//   - Autocast calls the operator again with other tensors. Note [Autocast]
//   - Anomaly mode calls the operator and looks for a NaN in the result. Note [NaN check]
// No operator computes on a placeholder by mistake: is_tensor() denies it, and the type's own slots, which see it as
// self, ask here first. Where none is in use, all this costs is reading one word.
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "flambeau/cuda.h"
#include "tensor/object.h"

namespace flambeau::python {

// Reasons to look at arguments: classes with __torch_function__, modes that are entered, maps that run, placeholders
// that live and tensors of other devices than the CPU, threads in autocast, anomaly mode, classes and modes with
// __torch_dispatch__.
extern std::atomic<int> interceptions;

// One call from Python, for as long as it runs, on the device of its tensors.
class Caller {
 public:
  // If somebody else answers for callable(*args), true; `answer` is what it said, null where an exception is set.
  bool asks(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
    return FLAMBEAU_UNLIKELY(interceptions.load(std::memory_order_relaxed)) &&
           ask_others(callable, args, count, kwnames);
  }
  // The same of a slot of Tensor's type, whose method has this name (of static duration).
  template <class... Arguments>
  bool asks(const char* method, Arguments*... args) {
    if (FLAMBEAU_LIKELY(!interceptions.load(std::memory_order_relaxed))) return false;
    const std::array<PyObject*, sizeof...(Arguments)> all{args...};
    return ask_others(method, all.data(), all.size());
  }
  bool asks_for_attribute(const char* name, PyObject* self, PyObject* value);  // null: to read it

  PyObject* answer = nullptr;

 private:
  struct Elsewhere {
    Elsewhere(Device where, const char* name) : device(where, name) {}
    const OnDevice device;
    const cuda::Call call;
  };

  bool ask_others(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);
  bool ask_others(const char* method, PyObject* const* args, size_t count);
  void go_to_device_of(const char* name, bool any_device, PyObject* const* args, size_t count);

  std::optional<Elsewhere> elsewhere_;
};

// A class was derived from Tensor: from now on its instances are looked for, unless it does not want to be asked.
void note_subclass(PyObject* type);
// The object that stands for the batch `value` and looks like `shell` (tensor_type.cpp).
PyObject* adopt_placeholder(const Tensor& shell, PyObject* value, PyObject* level);

// The object of a class derived from Tensor that is to stand for a fresh tensor (tensor_type.cpp).
PyObject* adopt_as(PyObject* type, const Tensor& fresh);

// Return whether a callable is a function, not an operator, for which classes and modes may answer.
bool is_interceptable(PyObject* callable);

void bind_interception(PyObject* module);

}  // namespace flambeau::python
