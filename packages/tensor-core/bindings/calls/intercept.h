// Interception of calls by handlers that run instead of an operator.
//
// Note [Interception]
// Seven mechanisms can intercept a call from Python to an operator:
//   - Classes with __torch_function__. A class derived from Tensor handles calls with its instances by a class method
//     __torch_function__(func, types, args, kwargs), as in PyTorch (flambeau.overrides). A class that is not derived
//     from Tensor is discovered when an operator rejects one of its instances, and handles calls from then on
//     (register_override_classes). Note [Overridable functions] is about functions that call operators.
//   - Modes. An active flambeau.overrides.TorchFunctionMode handles all calls of its thread, before the classes.
//   - vmap. While a function is mapped over a batch (flambeau.func.vmap), one placeholder object represents all tensors
//     of the batch. It has the shape and dtype of one of these tensors, and no elements. The handler that vmap has
//     registered handles calls with placeholders.
//   - Classes and modes with __torch_dispatch__ handle operators below autograd. Note [Dispatch]
//   - Devices. If an argument is on a device other than the CPU, the Caller makes this device the current device during
//     the call, so that new tensors are allocated there. The operator itself runs. Note [Devices]
//   - Autocast calls the operator again with converted tensors. Note [Autocast]
//   - Anomaly mode calls the operator and checks the result for NaN. Note [NaN check]
// Operators cannot compute on a placeholder by mistake: is_tensor() returns false for it, and the slots of the type
// check for interception first. If no mechanism is in use, a call only reads one word.
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "flambeau/cuda.h"
#include "tensor/object.h"

namespace flambeau::python {

// The number of reasons to examine arguments: classes with __torch_function__ or __torch_dispatch__, active modes,
// active vmap calls, existing placeholders, tensors on devices other than the CPU, and threads in autocast or anomaly
// mode.
extern std::atomic<int> interceptions;

// The scope of a call from Python. Within it, the device of the call's tensors is the current device.
class Caller {
 public:
  // Returns true if a handler ran instead of callable(*args). Sets `result` to the handler's result, or to null if a
  // Python exception is set.
  bool intercepts(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
    return FLAMBEAU_UNLIKELY(interceptions.load(std::memory_order_relaxed)) &&
           intercept(callable, args, count, kwnames);
  }
  // Like the function above, for a slot of the type Tensor. `method` is the name of the method that the slot
  // implements, a string with static storage duration.
  template <class... Arguments>
  bool intercepts(const char* method, Arguments*... args) {
    if (FLAMBEAU_LIKELY(!interceptions.load(std::memory_order_relaxed))) return false;
    const std::array<PyObject*, sizeof...(Arguments)> all{args...};
    return intercept(method, all.data(), all.size());
  }
  bool intercepts_attribute(const char* name, PyObject* self, PyObject* value);  // `value`: null if it is read

  PyObject* result = nullptr;

 private:
  struct OtherDevice {
    OtherDevice(Device where, const char* name) : device(where, name) {}
    const OnDevice device;
    const cuda::Call call;
  };

  bool intercept(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames);
  bool intercept(const char* method, PyObject* const* args, size_t count);
  void switch_to_device_of(const char* name, bool any_device, PyObject* const* args, size_t count);

  std::optional<OtherDevice> elsewhere_;
};

// Registers a class derived from Tensor. Calls with its instances are intercepted, unless the class disables
// __torch_function__.
void note_subclass(PyObject* type);
// Creates a placeholder for the batch `value`. It has the shape and dtype of `shell` (tensor_type.cpp).
PyObject* adopt_placeholder(const Tensor& shell, PyObject* value, PyObject* level);

// Creates an instance of `type`, a class derived from Tensor, for a new tensor (tensor_type.cpp).
PyObject* adopt_as(PyObject* type, const Tensor& fresh);

// Returns true if a callable is a function, not an operator, that classes and modes can handle.
bool is_interceptable(PyObject* callable);

void bind_interception(PyObject* module);

}  // namespace flambeau::python
