// Calling hooks, and looking at what they return.
#include "hook_calls.h"

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

py::object owned(PyObject* result) {  // throws if a call into Python failed
  if (!result) throw PythonError();
  return py::reinterpret_steal<py::object>(result);
}

std::string name_of(PyObject* hook) {
  PyObject* attribute = PyObject_GetAttrString(hook, "__name__");
  const char* text = attribute && PyUnicode_Check(attribute) ? PyUnicode_AsUTF8(attribute) : nullptr;
  if (!text) PyErr_Clear();  // a name that is no text, or has no encoding
  const std::string name = text ? text : Py_TYPE(hook)->tp_name;
  Py_XDECREF(attribute);
  return name;
}

void check_replacement(PyObject* hook, const Tensor& gradient, const Tensor& replaced) {
  if (replaced.shape() == gradient.shape() && replaced.dtype() == gradient.dtype()) return;
  const std::string name = name_of(hook);
  require(replaced.shape() == gradient.shape(), "hook '", name, "' has changed the size of value: it was given shape ",
          gradient.shape(), " and returned ", replaced.shape());
  require(false, "hook '", name, "' has changed the type of value (was ", gradient.dtype(), " got ", replaced.dtype(),
          ")");
}

// Calls each with the gradient; a result that is not None takes its place.
Tensor call_gradient_hooks(const Callbacks& hooks, Tensor gradient) {
  for (const Callback& c : HeldCallbacks(hooks)) {
    const py::object argument = py::reinterpret_steal<py::object>(wrap(gradient));
    const py::object result = owned(PyObject_CallOneArg(c.function, argument.ptr()));
    if (result.is_none()) continue;
    const Tensor* replacement = python_interface->unwrap(result.ptr());
    require<TypeError>(replacement, "hooks must return None or a Tensor, got ", Py_TYPE(result.ptr())->tp_name);
    check_replacement(c.function, gradient, *replacement);
    gradient = *replacement;
  }
  return gradient;
}

py::object as_tuple(const Tensor* tensors, size_t n) {
  PyObject* out = PyTuple_New(Py_ssize_t(n));
  for (size_t i = 0; i < n; ++i)
    PyTuple_SET_ITEM(out, Py_ssize_t(i), tensors[i].defined() ? wrap(tensors[i]) : Py_NewRef(Py_None));
  return py::reinterpret_steal<py::object>(out);
}

// Calls a node's hook; a tuple it returns takes the place of `tensors`.
void call_node_hook(PyObject* function, Tensor* tensors, size_t n, const Tensor* outputs, size_t output_count) {
  const py::object first = as_tuple(tensors, n), second = outputs ? as_tuple(outputs, output_count) : py::object();
  const py::object result = owned(PyObject_CallFunctionObjArgs(function, first.ptr(), second.ptr(), nullptr));
  if (result.is_none()) return;
  const py::tuple items = py::isinstance<py::tuple>(result) ? py::tuple(result) : py::make_tuple(result);
  require(items.size() == n, "hook '", name_of(function), "' has returned an incorrect number of values (got ",
          items.size(), ", but expected ", n, ")");
  for (size_t i = 0; i < n; ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.ptr(), Py_ssize_t(i));
    const Tensor* t = python_interface->unwrap(item);
    require<TypeError>(t || item == Py_None, "hooks must return None or Tensors, got ", Py_TYPE(item)->tp_name);
    if (t) {
      require(tensors[i].defined(), "can't replace a None gradient with a non-None value");
      check_replacement(function, tensors[i], *t);
    }
    tensors[i] = t ? *t : Tensor();
  }
}

// A hook may also have changed them in place.
void check_unchanged(const Node& node, const Gradients& gradients) {
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    require(gradients[i].shape() == node.outputs[i].shape && gradients[i].dtype() == node.outputs[i].dtype,
            "a hook of ", node, " has changed the size or type of gradient ", i, ": it was ", node.outputs[i].dtype,
            " ", node.outputs[i].shape, " and is ", gradients[i].dtype(), " ", gradients[i].shape());
  }
}

}  // namespace

void call_tensor_hooks(Node& node, Gradients& gradients) {
  if (AccumulateGrad* leaf = node.edges.empty() ? dynamic_cast<AccumulateGrad*>(&node) : nullptr) {
    if (auto* hooks = static_cast<LeafHooks*>(meta_of(leaf->leaf()).hooks.get()); hooks && gradients[0].defined()) {
      gradients[0] = call_gradient_hooks(hooks->gradient, gradients[0]);
      check_unchanged(node, gradients);
    }
  }
  NodeHooks* hooks = node.hooks.get();
  if (!hooks) return;
  for (size_t i = 0; i < hooks->gradient.size(); ++i)
    if (gradients[i].defined() && !hooks->gradient[i].empty())
      gradients[i] = call_gradient_hooks(hooks->gradient[i], gradients[i]);
  check_unchanged(node, gradients);
}

void call_prehooks(Node& node, Gradients& gradients) {
  for (const Callback& c : HeldCallbacks(node.hooks->pre))
    call_node_hook(c.function, gradients.data(), gradients.size(), nullptr, 0);
  check_unchanged(node, gradients);
}

void call_posthooks(const NodeHooks& hooks, Tensor* results, size_t n, const Tensor* gradients, size_t count) {
  for (const Callback& c : HeldCallbacks(hooks.post)) call_node_hook(c.function, results, n, gradients, count);
}

}  // namespace flambeau::autograd
