#include "calls/overrides.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "calls/call_arguments.h"
#include "calls/define.h"
#include "calls/intercept.h"
#include "calls/placeholders.h"

namespace flambeau::python {

namespace {

struct Mode {
  PyObject* object;  // an owned reference
  bool handles_functions;
};
thread_local std::vector<Mode> modes;       // active modes, the innermost last
thread_local bool overrides_heeded = true;  // false within flambeau.overrides.DisableTorchFunctionSubclass
PyObject* disabled_override = nullptr;      // value of __torch_function__ that disables overrides for a class

// The classes that have a __torch_function__, and whether they handle functions. References to classes derived from
// Tensor are borrowed. Therefore, a class may have been deleted, and another class may have its address, so
// override_of() looks up the method again.
std::unordered_map<PyTypeObject*, bool>& overriding_types() {
  static auto* once = new std::unordered_map<PyTypeObject*, bool>;
  return *once;
}

std::atomic<int> function_handlers{0};  // number of classes and active modes that handle functions
PyObject* on_change = nullptr;          // called if a handler is added, and if function_handlers becomes 0

void count_function_handlers(int by) {
  const int now = function_handlers += by;
  // Call on_change for a new handler even if other handlers exist, because another thread may be removing them.
  if ((by > 0 || (by < 0 && now == 0)) && on_change) Object(checked(PyObject_CallNoArgs(on_change)));
}

// Returns true unless a class or mode handles only operators, not functions that call operators.
bool handles_functions(PyObject* handler) {
  Object declared(PyObject_GetAttrString(handler, "_handles_functions"));
  if (!declared) PyErr_Clear();
  return declared.get() != Py_False;
}

void add_overriding_type(PyTypeObject* type) {
  const auto [added, is_new] = overriding_types().emplace(type, handles_functions(reinterpret_cast<PyObject*>(type)));
  if (!is_new) return;
  ++interceptions;
  count_function_handlers(added->second);
}

void remove_overriding_type(PyTypeObject* type) {
  const auto found = overriding_types().find(type);
  if (found == overriding_types().end()) return;
  const bool handled_functions = found->second;
  overriding_types().erase(found);
  --interceptions;
  count_function_handlers(-int(handled_functions));
}

// Returns the __torch_function__ of an argument's class, or null if the class disables or does not define it.
Object override_of(PyObject* o) {
  if (!may_override(o) || is_placeholder(o)) return Object();
  Object method(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), "__torch_function__"));
  if (!method) PyErr_Clear();
  return method.get() == disabled_override ? Object() : std::move(method);
}

}  // namespace

bool may_override(PyObject* o) { return Py_TYPE(o) != tensor_type && overriding_types().contains(Py_TYPE(o)); }

bool register_override_classes(PyObject* const* args, size_t count) {
  if (!overrides_heeded || (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError))) return false;
  PyObject *kind, *value, *trace;
  PyErr_Fetch(&kind, &value, &trace);
  bool found = false;
  for_each(args, count, [&](PyObject* o) {
    PyTypeObject* const type = Py_TYPE(o);
    if (is_tensor(o) || !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) || overriding_types().contains(type)) return;
    const Object method(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__torch_function__"));
    if (!method) return PyErr_Clear();
    if (method.get() == disabled_override) return;
    Py_INCREF(type);  // the reference keeps the class alive, so that no other class can have its address
    add_overriding_type(type);
    found = true;
  });
  if (!found) return PyErr_Restore(kind, value, trace), false;
  Py_XDECREF(kind);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return true;
}

std::vector<Object> overriding(PyObject* const* args, size_t count) {
  std::vector<Object> candidates, out;
  if (!overrides_heeded || overriding_types().empty()) return out;
  const auto collect_candidates = [&] {
    candidates.clear();
    for_each(args, count, [&](PyObject* o) {
      if (may_override(o)) candidates.emplace_back(Py_NewRef(o));
    });
  };
  collect_candidates();
  // The arguments may also contain instances of a class that is not registered yet.
  if (!candidates.empty() && register_override_classes(args, count)) collect_candidates();
  for (Object& held : candidates) {
    PyObject* const o = held.get();
    if (!override_of(o)) continue;
    const auto is_of = [o](const Object& other) { return Py_TYPE(other.get()) == Py_TYPE(o); };
    const auto is_above = [o](const Object& other) { return PyType_IsSubtype(Py_TYPE(o), Py_TYPE(other.get())); };
    if (std::none_of(out.begin(), out.end(), is_of))
      out.insert(std::find_if(out.begin(), out.end(), is_above), std::move(held));
  }
  return out;
}

bool in_mode() { return !modes.empty(); }

namespace {

Object classes_of(const std::vector<Object>& overriding_args) {
  std::vector<PyObject*> classes;
  for (const Object& o : overriding_args) classes.push_back(reinterpret_cast<PyObject*>(Py_TYPE(o.get())));
  return tuple_of(classes.data(), classes.size());
}

}  // namespace

// Calls the innermost mode. The mode is inactive during the call, so that the outer modes handle the operators that the
// mode calls.
Object call_mode(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  const size_t all = count + named_count(kwnames);
  register_override_classes(args, all);
  const Object types = classes_of(overriding(args, all)), positional = tuple_of(args, count);
  const Object named = dictionary_of(kwnames, args + count), method(PyUnicode_FromString("__torch_function__"));
  const Mode mode = modes.back();
  modes.pop_back();
  PyObject* const result = PyObject_CallMethodObjArgs(mode.object, method.get(), callable, types.get(),
                                                      positional.get(), named.get(), nullptr);
  modes.push_back(mode);
  return Object(checked(result));
}

PyObject* call_classes(PyObject* callable, const std::vector<Object>& overriding_args, PyObject* const* args,
                       size_t count, PyObject* kwnames) {
  const Object types = classes_of(overriding_args), positional = tuple_of(args, count);
  const Object named = dictionary_of(kwnames, args + count);
  for (const Object& o : overriding_args) {
    const Object method = override_of(o.get());
    Object result(checked(
        PyObject_CallFunctionObjArgs(method.get(), callable, types.get(), positional.get(), named.get(), nullptr)));
    if (result.get() != Py_NotImplemented) return result.release();
  }
  PyErr_Format(PyExc_TypeError, "no implementation found for '%R' on types that implement __torch_function__: %R",
               callable, types.get());
  throw PythonError();
}

namespace {

// Returns false for arguments that cannot have a handler. Most calls have only such arguments.
bool may_have_handler(PyObject* o) {
  if (Py_TYPE(o) == tensor_type) return false;
  if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) return true;
  return PyType_HasFeature(Py_TYPE(o), Py_TPFLAGS_HEAPTYPE) && (!is_tensor(o) || may_override(o));
}

}  // namespace

Object call_function_handler(PyObject* function, PyObject* const* args, size_t count, PyObject* kwnames) {
  const size_t all = count + named_count(kwnames);
  if (!in_mode() && std::none_of(args, args + all, may_have_handler)) return Object();
  if (in_mode() && modes.back().handles_functions) {
    Object result = call_mode(function, args, count, kwnames);
    if (result.get() != Py_NotImplemented) return result;
  }
  register_override_classes(args, all);
  std::vector<Object> handlers = overriding(args, all);
  std::erase_if(handlers, [](const Object& o) {
    const auto type = overriding_types().find(Py_TYPE(o.get()));
    return type == overriding_types().end() || !type->second;
  });
  return handlers.empty() ? Object() : Object(call_classes(function, handlers, args, count, kwnames));
}

namespace {

PyObject* set_overrides_heeded(PyObject*, PyObject* heeded) {
  const int wanted = PyObject_IsTrue(heeded);
  return wanted < 0 ? nullptr : PyBool_FromLong(std::exchange(overrides_heeded, bool(wanted)));
}

PyObject* push_mode(PyObject*, PyObject* mode) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    const bool handles = handles_functions(mode);
    count_function_handlers(handles);
    modes.push_back({Py_NewRef(mode), handles});
    ++interceptions;
    Py_RETURN_NONE;
  });
}

PyObject* pop_mode(PyObject*, PyObject*) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require(!modes.empty(), "no TorchFunctionMode is active in this thread");
    const Mode mode = modes.back();
    modes.pop_back();
    --interceptions;
    count_function_handlers(-int(mode.handles_functions));
    return mode.object;
  });
}

PyObject* forget_overrides(PyObject*, PyObject* type) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    remove_overriding_type(reinterpret_cast<PyTypeObject*>(type));
    Py_RETURN_NONE;
  });
}

PyObject* functions_are_handled(PyObject*, PyObject*) { return PyBool_FromLong(function_handlers > 0); }

PyObject* watch_function_handlers(PyObject*, PyObject* hook) {
  on_change = Py_NewRef(hook);
  Py_RETURN_NONE;
}

// These are plain functions, not operators, because modes would intercept operators.
PyMethodDef controls[] = {
    {"_overrides_heeded", set_overrides_heeded, METH_O,
     "_overrides_heeded(heeded)\n\nEnable or disable __torch_function__, and return the previous setting."},
    {"_forget_overrides", forget_overrides, METH_O,
     "_forget_overrides(type)\n\nIgnore the __torch_function__ of a class derived from Tensor from now on."},
    {"_push_function_mode", push_mode, METH_O,
     "_push_function_mode(mode)\n\nMake mode.__torch_function__ handle all calls of this thread."},
    {"_functions_are_handled", functions_are_handled, METH_NOARGS,
     "_functions_are_handled()\n\nReturn True if a class or mode handles functions that call operators."},
    {"_watch_function_handlers", watch_function_handlers, METH_O,
     "_watch_function_handlers(hook)\n\nSet the function that is called when _functions_are_handled() may have "
     "changed."},
    {"_pop_function_mode", pop_mode, METH_NOARGS, "_pop_function_mode()\n\nRemove the innermost mode and return it."},
    {}};

PyObject* call_without_overrides(PyObject*, PyObject* args) {  // (func, types, args, kwargs=None)
  PyObject *function, *types, *given = nullptr, *named = nullptr;
  if (!PyArg_ParseTuple(args, "OO|OO:_disabled_torch_function_impl", &function, &types, &given, &named)) return nullptr;
  if (named == Py_None) named = nullptr;
  if (named && !PyDict_Check(named)) {
    PyErr_Format(PyExc_TypeError, "expected a dictionary of keyword arguments, got %s", Py_TYPE(named)->tp_name);
    return nullptr;
  }
  const Object positional(given ? PySequence_Tuple(given) : PyTuple_New(0));
  if (!positional) return nullptr;
  const bool heeded = std::exchange(overrides_heeded, false);
  PyObject* result = PyObject_Call(function, positional.get(), named);
  overrides_heeded = heeded;
  return result;
}
PyMethodDef disabled_definition = {
    "_disabled_torch_function_impl", call_without_overrides, METH_VARARGS,
    "Call the function. A class uses this as its __torch_function__ to disable overrides."};

PyObject* as_subclass(const Tensor& t, PyObject* type) {
  const Tensor same = expand(t, t.shape());  // a new tensor with the same elements, connected to the graph of `t`
  return adopt_as(type, same);
}

}  // namespace

void note_subclass(PyObject* type) {
  remove_overriding_type(reinterpret_cast<PyTypeObject*>(type));  // a deleted class may have had the same address
  const Object method(checked(PyObject_GetAttrString(type, "__torch_function__")));
  if (method.get() == disabled_override) return;
  add_overriding_type(reinterpret_cast<PyTypeObject*>(type));
}

void disable_default_override(PyObject* type) {
  const Object own(checked(PyObject_GetAttrString(type, "__torch_function__")));
  const Object inherited(
      checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), "__torch_function__")));
  if (PyMethod_Check(own.get()) && PyMethod_Check(inherited.get()) &&
      PyMethod_GET_FUNCTION(own.get()) == PyMethod_GET_FUNCTION(inherited.get()) &&
      PyObject_SetAttrString(type, "__torch_function__", disabled_override) < 0)
    throw PythonError();
}

void bind_overrides(PyObject* module) {
  disabled_override = checked(PyCFunction_New(&disabled_definition, nullptr));
  PyModule_AddObjectRef(module, "_disabled_torch_function_impl", disabled_override);
  def("_as_subclass(input, type)", kPrivate, "Return a tensor with the same elements as an instance of a class.",
      as_subclass);
  if (PyModule_AddFunctions(module, controls) < 0) throw PythonError();
}

}  // namespace flambeau::python
