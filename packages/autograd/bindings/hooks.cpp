// Python functions as hooks on tensors and nodes.
#include "python_hook.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

std::string name_of(const py::object& function) {
  PyObject* attribute = PyObject_GetAttrString(function.ptr(), "__name__");
  const char* text = attribute && PyUnicode_Check(attribute) ? PyUnicode_AsUTF8(attribute) : nullptr;
  if (!text) PyErr_Clear();  // the name does not exist, is not a str, or cannot be encoded
  const std::string name = text ? text : Py_TYPE(function.ptr())->tp_name;
  Py_XDECREF(attribute);
  return name;
}

void check_replacement(const py::object& function, const Tensor& gradient, const Tensor& replaced) {
  require(gradient.defined(), "can't replace a None gradient with a non-None value");
  if (replaced.shape() == gradient.shape() && replaced.dtype() == gradient.dtype()) return;
  const std::string name = name_of(function);
  require(replaced.shape() == gradient.shape(), "hook '", name, "' has changed the size of value: it was given shape ",
          gradient.shape(), " and returned ", replaced.shape());
  require(false, "hook '", name, "' has changed the type of value (was ", gradient.dtype(), " got ", replaced.dtype(),
          ")");
}

py::object as_tuple(std::span<const Tensor> tensors) {
  PyObject* out = PyTuple_New(Py_ssize_t(tensors.size()));
  for (size_t i = 0; i < tensors.size(); ++i)
    PyTuple_SET_ITEM(out, Py_ssize_t(i), tensors[i].defined() ? wrap(tensors[i]) : Py_NewRef(Py_None));
  return py::reinterpret_steal<py::object>(out);
}

// Replaces a gradient with the result of its hook if the result is not None.
void replace(const py::object& function, Tensor& gradient, const py::object& result) {
  if (result.is_none()) return;
  const Tensor* replacement = python_interface->unwrap(result.ptr());
  require<TypeError>(replacement, "hooks must return None or a Tensor, got ", Py_TYPE(result.ptr())->tp_name);
  check_replacement(function, gradient, *replacement);
  gradient = *replacement;
}

// Replaces the gradients of a node with the tuple that its hook returned, if the result is not None.
void replace_all(const py::object& function, std::span<Tensor> gradients, const py::object& result) {
  if (result.is_none()) return;
  const py::tuple items = py::isinstance<py::tuple>(result) ? py::tuple(result) : py::make_tuple(result);
  require(items.size() == gradients.size(), "hook '", name_of(function),
          "' has returned an incorrect number of values (got ", items.size(), ", but expected ", gradients.size(), ")");
  for (size_t i = 0; i < gradients.size(); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.ptr(), Py_ssize_t(i));
    const Tensor* t = python_interface->unwrap(item);
    require<TypeError>(t || item == Py_None, "hooks must return None or Tensors, got ", Py_TYPE(item)->tp_name);
    if (t) check_replacement(function, gradients[i], *t);
    gradients[i] = t ? *t : Tensor();
  }
}

}  // namespace

void PythonHook::operator()(std::span<Tensor> values, std::span<const Tensor> outputs) const {
  if (kind == Gradient || kind == Leaf) {
    const py::object argument = py::reinterpret_steal<py::object>(wrap(values[0])),
                     result = owned(PyObject_CallOneArg(function.ptr(), argument.ptr()));
    if (kind == Gradient) replace(function, values[0], result);
    return;
  }
  const py::object first = as_tuple(values), second = kind == After ? as_tuple(outputs) : py::object();
  const py::object result = owned(PyObject_CallFunctionObjArgs(function.ptr(), first.ptr(), second.ptr(), nullptr));
  replace_all(function, values, result);
}

void bind_hooks(py::module_& m) {
  const auto on_gradient = [](const Tensor& t, py::object function) {
    const int64_t id = add_gradient_hook(t, PythonHook{std::move(function), PythonHook::Gradient});
    track(t);
    return id;
  };
  const auto on_leaf = [](const Tensor& t, py::object function) {
    const int64_t id = add_accumulation_hook(t, PythonHook{std::move(function), PythonHook::Leaf});
    track(t);
    return id;
  };
  define(m, "register_hook", on_gradient, tensor_argument(), py::arg());
  define(m, "register_post_accumulate_grad_hook", on_leaf, tensor_argument(), py::arg());
  define(m, "register_node_hook", [](Node& node, py::object function) {
    return add_posthook(node, PythonHook{std::move(function), PythonHook::After});
  });
  define(m, "register_node_prehook", [](Node& node, py::object function) {
    return add_prehook(node, PythonHook{std::move(function), PythonHook::Before});
  });
  define(m, "remove_hook", &remove_hook);
  define(m, "retain_grad", &retain_grad, tensor_argument());
  define(m, "detach_", &detach_, tensor_argument());
}

}  // namespace flambeau::autograd
