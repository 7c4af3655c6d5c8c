// Bindings that load flambeau.autograd on first use. If it is not installed, the error names its distribution.
#include "calls/bind.h"
#include "calls/intercept.h"

namespace flambeau::python {

namespace {

// Returns a function that another package registers. Imports the package on first use (flambeau._extension_points).
Object extension_point(const char* name) {
  const Object points(checked(PyImport_ImportModule("flambeau._extension_points")));
  return Object(checked(PyObject_CallMethod(points.get(), "required", "s", name)));
}

// A method of Tensor that the autograd package implements.
template <int index>
PyObject* forward(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  Caller caller;
  if (caller.intercepts(self, args, size_t(PyVectorcall_NARGS(nargsf)), kwnames)) return caller.result;
  static PyObject* target = nullptr;
  if (FLAMBEAU_UNLIKELY(!target)) {
    const std::string& name = reinterpret_cast<OperatorObject*>(self)->binding->name;
    target = guarded<PyObject*>(nullptr, [&] {
      return checked(PyObject_CallFunction(extension_point("tensor_method").get(), "s", name.c_str()));
    });
    if (!target) return nullptr;
  }
  return PyObject_Vectorcall(target, args, nargsf, kwnames);
}

template <int index>
void forwarded(const char* signature, const char* doc) {
  Binding* b = new Binding;
  b->signature = signature;
  b->parameters = parse_signature(signature, b->name);
  b->doc = doc;
  add_method(b->name, b, forward<index>);
}

}  // namespace

void ensure_autograd() {
  if (python_autograd_hooks) return;
  extension_point("require_grad");
  require(python_autograd_hooks, "flambeau.autograd, which computes gradients, did not register its engine");
}

void bind_autograd() {
  def("requires_grad_(input, requires_grad=True)", kMethod,
      "Set requires_grad of this leaf in place, and return the tensor.", [](Self self, bool requires_grad) {
        if (requires_grad || tensor_of(self).requires_grad()) {
          ensure_autograd();
          autograd_hooks->set_requires_grad(tensor_of(self), requires_grad);
        }
        return Py_NewRef(self);
      });
  def("is_grad_enabled()", kFunction,
      "Return True if grad mode is enabled in this thread. Operations are then recorded, except in inference mode.",
      [] { return grad_mode(); });
  def("_recording(tensor=None)", kPrivate,
      "Return True if operations on the tensor are recorded, for the graph or in forward mode. Without a tensor, "
      "return True if recording is enabled.",
      [](const Tensor& tensor) { return tensor.defined() ? recording(tensor) : recording_enabled(); });
  def("_set_grad_enabled(mode)", kPrivate, "Set the grad mode of this thread, and return the previous mode.",
      [](bool mode) {
        const bool former = grad_mode();
        set_grad_mode(mode);
        return former;
      });
  def("is_inference(input)", kFunction | kMethod,
      "Return True if the tensor was created in inference mode, so that its operations are never recorded.",
      [](const Tensor& t) { return t.storage().inference(); });
  def("is_inference_mode_enabled()", kFunction, "Return True if inference mode is enabled in this thread.",
      [] { return inference_mode(); });
  forwarded<0>("backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None)",
               "Compute the gradients of this tensor, and add them to .grad of the leaves that it was computed from.");
  forwarded<1>("register_hook(self, hook)",
               "Call hook(grad) when the gradient of this tensor is computed. If the hook returns a tensor, it "
               "replaces the gradient.");
  forwarded<2>("retain_grad(self)", "Store the gradient of a non-leaf tensor in .grad during the backward pass.");
  forwarded<3>("register_post_accumulate_grad_hook(self, hook)",
               "Call hook(tensor) after each accumulation of a gradient in .grad of this leaf.");
  forwarded<4>("detach_(self)", "Remove the tensor from its graph in place, and return it.");
}

}  // namespace flambeau::python
