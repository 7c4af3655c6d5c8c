#include "calls/placeholders.h"

#include "calls/arguments.h"
#include "calls/call_arguments.h"
#include "calls/define.h"
#include "calls/intercept.h"

namespace flambeau::python {

namespace {

thread_local int running_maps = 0;        // number of nested calls of vmap that run in this thread
PyObject* placeholder_handler = nullptr;  // handler(callable, arguments, out or keyword arguments)

constexpr const char kEscaped[] =
    "a tensor that was created inside vmap was used after vmap had ended; return it from the mapped function instead "
    "of storing it";

}  // namespace

bool in_map() { return running_maps > 0; }

PyObject* call_handler(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  require<Error>(running_maps > 0, kEscaped);
  const Binding* b = binding_of(callable);
  if (!b) {
    const Object named = kwnames ? dictionary_of(kwnames, args + count) : Object(Py_NewRef(Py_None));
    return PyObject_CallFunctionObjArgs(placeholder_handler, callable, tuple_of(args, count).get(), named.get(),
                                        nullptr);
  }
  Arguments values;
  collect(*b, args, count, kwnames, values);
  const Object all = tuple_of(values.at, b->parameters.size());
  return PyObject_CallFunctionObjArgs(placeholder_handler, callable, all.get(), values.out ? values.out : Py_None,
                                      nullptr);
}

namespace {

// Returns a tensor with the shape and dtype of one element of a batch. Its memory is never read.
Tensor shell_of(PyObject* value) {
  const Tensor& t = tensor_of(value);
  require(t.dim() > 0, "vmap: a batch must have at least one dimension, got a 0-dim tensor");
  static Tensor elements[kDtypeCount];  // one element for each dtype, which all placeholders share (strides of 0)
  Tensor& element = elements[int(t.dtype())];
  const OnDevice cpu(DeviceType::Cpu);
  if (!element.defined()) element = zeros({}, t.dtype());
  const Shape shape(t.shape().begin() + 1, t.shape().end());
  Shape strides;
  for (size_t i = 0; i < shape.size(); ++i) strides.push_back(0);
  return from_storage(element.impl()->storage, shape, strides, 0, t.dtype());
}

// _placeholder(value, level): creates a placeholder for the batch `value`, whose first dimension counts the tensors.
PyObject* make_placeholder(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2 && placeholder_type && (is_tensor(args[0]) || is_placeholder(args[0])),
                       "_placeholder(): expected a batch and its level");
    return adopt_placeholder(shell_of(args[0]), args[0], args[1]);
  });
}

// _replace_batch(placeholder, value): replaces the batch and the shape of a placeholder. Used for in-place views.
PyObject* replace_batch(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2 && is_placeholder(args[0]) && (is_tensor(args[1]) || is_placeholder(args[1])),
                       "_replace_batch(): expected a placeholder and a batch");
    const Tensor shell = shell_of(args[1]);
    TensorImpl& own = *tensor_of(args[0]).impl();
    own.shape = shell.shape();
    own.strides = shell.strides();
    own.update_geometry();
    if (PyObject_SetAttrString(args[0], "value", args[1]) < 0) throw PythonError();
    return Py_NewRef(args[0]);
  });
}

PyObject* define_placeholder(PyObject* type, PyObject* handler) {
  require<TypeError>(PyType_Check(type) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), tensor_type),
                     "a placeholder's type must derive from Tensor");
  placeholder_type = reinterpret_cast<PyTypeObject*>(Py_NewRef(type));
  placeholder_handler = Py_NewRef(handler);
  Py_RETURN_NONE;
}

PyObject* set_running_maps(PyObject*, PyObject* count) {
  const int wanted = int(PyLong_AsLong(count)), previous = running_maps;
  if (wanted == -1 && PyErr_Occurred()) return nullptr;
  interceptions += wanted - previous;
  running_maps = wanted;
  return PyLong_FromLong(previous);
}

// Calls an operator with a tuple that contains a value for every parameter, such as the one that call_handler() passes
// to the handler.
PyObject* call_given(PyObject* callable, PyObject* all) {
  require<TypeError>(binding_of(callable) && PyTuple_Check(all), "expected an operator and a tuple");
  const Binding& b = *binding_of(callable);
  require<TypeError>(size_t(PyTuple_GET_SIZE(all)) == b.parameters.size(), b.name, "(): wrong number of values");
  PyObject* args[kMaxParameters];
  size_t count = 0, named = 0;
  const Object names(checked(PyList_New(0)));
  for (size_t i = 0; i < b.parameters.size(); ++i) {
    const Parameter& p = b.parameters[i];
    PyObject* value = PyTuple_GET_ITEM(all, Py_ssize_t(i));
    if (p.keyword_only && value == p.fallback) continue;
    args[count++] = value;
    named += p.keyword_only;
    if (p.keyword_only && PyList_Append(names.get(), p.name) < 0) throw PythonError();
  }
  const Object keywords(checked(PyList_AsTuple(names.get())));
  return PyObject_Vectorcall(callable, args, count - named, named ? keywords.get() : nullptr);
}

PyObject* call_with_all(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2, "_call_with_all(): expected an operator and a tuple");
    return call_given(args[0], args[1]);
  });
}

// Functions that handlers use. They are not operators, so that handlers do not intercept them.
PyMethodDef controls[] = {
    {"_placeholder", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(make_placeholder)), METH_FASTCALL,
     "_placeholder(value, level)\n\nReturn a placeholder for the batch `value`."},
    {"_replace_batch", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(replace_batch)), METH_FASTCALL,
     "_replace_batch(placeholder, value)\n\nReplace the batch of a placeholder with another batch of the same level."},
    {"_running_maps", set_running_maps, METH_O,
     "_running_maps(count)\n\nSet the number of levels of vmap that run in this thread, and return the previous "
     "number."},
    {"_call_with_all", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_with_all)), METH_FASTCALL,
     "_call_with_all(operator, values)\n\nCall an operator with a value for every parameter."},
    {}};

}  // namespace

void bind_placeholders(PyObject* module) {
  if (PyModule_AddFunctions(module, controls) < 0) throw PythonError();
  def("_define_placeholder(type, handler)", kPrivate,
      "Set the type that represents a batch inside vmap, and the function that handles calls with instances of it.",
      define_placeholder);
}

}  // namespace flambeau::python
