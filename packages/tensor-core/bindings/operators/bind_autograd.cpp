// The seam to the autograd package: loaded when the first gradient is asked for, named where it is missing.
#include "calls/bind.h"
#include "calls/intercept.h"

namespace flambeau::python {

namespace {

// Given where flambeau.autograd is not installed.
constexpr const char kNoAutograd[] =
    "gradients need the autograd package, which is not installed; install it with: pip install flambeau-autograd";

// A method of Tensor that the autograd package implements: flambeau.autograd._tensor_methods.<name>.
template <int index>
PyObject* forward(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  Caller caller;
  if (caller.asks(self, args, size_t(PyVectorcall_NARGS(nargsf)), kwnames)) return caller.answer;
  static PyObject* target = nullptr;
  if (FLAMBEAU_UNLIKELY(!target)) {
    const bool ready = guarded<bool>(false, [] {
      ensure_autograd();
      return true;
    });
    if (!ready) return nullptr;
    const Object module(PyImport_ImportModule("flambeau.autograd._tensor_methods"));
    if (!module) return nullptr;
    target = PyObject_GetAttrString(module.get(), reinterpret_cast<OperatorObject*>(self)->binding->name.c_str());
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
  const Object method(make_operator(b, forward<index>));
  PyDict_SetItemString(tensor_type->tp_dict, b->name.c_str(), method.get());
}

}  // namespace

void ensure_autograd() {
  if (python_autograd_hooks) return;
  const Object module(PyImport_ImportModule("flambeau.autograd"));
  if (!module) {
    if (PyErr_ExceptionMatches(PyExc_ModuleNotFoundError)) {
      PyErr_Clear();
      PyErr_SetString(PyExc_ImportError, kNoAutograd);
    }
    throw PythonError();
  }
  require(python_autograd_hooks, "flambeau.autograd was imported but did not register its engine");
}

void bind_autograd() {
  def("requires_grad_(input, requires_grad=True)", kMethod,
      "Asks for gradients of this leaf (or stops asking); returns the tensor.", [](Self self, bool requires_grad) {
        if (requires_grad || tensor_of(self).requires_grad()) {
          ensure_autograd();
          autograd_hooks->set_requires_grad(tensor_of(self), requires_grad);
        }
        return Py_NewRef(self);
      });
  def("is_grad_enabled()", kFunction, "Whether operations are recorded in this thread.", [] { return grad_enabled(); });
  def("_recording(tensor=None)", kPrivate,
      "Whether an operation on the tensor is recorded, for the graph or in forward mode; without one, whether any is.",
      [](const Tensor& tensor) { return tensor.defined() ? recording(tensor) : recording_enabled(); });
  def("_set_grad_enabled(mode)", kPrivate, "Sets grad mode of this thread; returns the former mode.", [](bool mode) {
    const bool former = grad_enabled();
    set_grad_enabled(mode);
    return former;
  });
  def("is_inference(input)", kFunction | kMethod,
      "Whether the tensor's memory was made in inference mode: then it never takes part in a graph.",
      [](const Tensor& t) { return t.storage().inference(); });
  def("is_inference_mode_enabled()", kFunction, "Whether inference mode is on in this thread.",
      [] { return inference_mode(); });
  forwarded<0>("backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None)",
               "Adds the gradients of this tensor to .grad of the leaves it was computed from.");
  forwarded<1>(
      "register_hook(self, hook)",
      "Calls hook(grad) when this tensor's gradient is known; what it returns, if anything, replaces the gradient.");
  forwarded<2>("retain_grad(self)", "Keeps the gradient of a tensor that is not a leaf in .grad.");
  forwarded<3>("register_post_accumulate_grad_hook(self, hook)",
               "Calls hook(tensor) after this leaf's .grad was added to.");
  forwarded<4>("detach_(self)", "Takes the tensor out of its graph; returns it.");
}

}  // namespace flambeau::python
