#include "calls/dispatch.h"

#include <algorithm>
#include <unordered_set>

#include "calls/call_arguments.h"
#include "calls/conversions.h"
#include "calls/define.h"
#include "calls/intercept.h"
#include "calls/overrides.h"
#include "calls/python_recording.h"
#include "flambeau/dispatched_gradients.h"
#include "tensor/peer.h"

namespace flambeau::python {

namespace {

thread_local std::vector<PyObject*> modes;  // active modes, the innermost last; owned references
thread_local bool enabled = true;           // false within torch._C._DisableTorchDispatch
PyObject* handler = nullptr;                // handler(callable, args, kwargs or None)
PyObject* known_calls = nullptr;            // the overloads of calls without keywords; Note [Known calls]
PyObject* disabled_dispatch = nullptr;      // value of __torch_dispatch__ that disables dispatch for a class

std::unordered_set<PyTypeObject*>& dispatching_types() {
  static auto* once = new std::unordered_set<PyTypeObject*>;
  return *once;
}

// Callables that classes and modes never handle, as the handler has determined. Owned references.
std::unordered_set<PyObject*>& excluded_callables() {
  static auto* once = new std::unordered_set<PyObject*>;
  return *once;
}

}  // namespace

bool in_dispatch_mode() { return enabled && !modes.empty(); }

bool class_dispatches(PyTypeObject* type) { return type != tensor_type && dispatching_types().contains(type); }

bool is_without_memory(PyObject* o) { return enabled && class_dispatches(Py_TYPE(o)); }

bool dispatches(PyObject* const* args, size_t count) {
  if (!enabled) return false;
  bool found = !modes.empty();
  if (!found && !dispatching_types().empty())
    for_each(args, count, [&](PyObject* o) { found |= class_dispatches(Py_TYPE(o)); });
  return found;
}

bool is_dispatched_attribute(const char* name) {
  constexpr std::string_view kNames[] = {"T", "mT", "H", "mH", "real", "imag", "data"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool may_dispatch(PyObject* callable, PyObject* kwnames) {
  if (is_interceptable(callable) || excluded_callables().contains(callable)) return false;
  const Binding* const b = binding_of(callable);
  if (!b || !b->python || b->form != Binding::Own) return true;
  static PyObject* const out = PyUnicode_InternFromString("out");
  return kwnames && PySequence_Contains(kwnames, out) > 0;
}

namespace {

void load_handler();

// Note [Known calls]
// For most calls, the types of the arguments determine the overload. The handler stores these overloads in the
// dictionary known_calls, with the keys (callable, *types of the arguments) and the values (overload, history). This
// file passes such calls to modes without calling the handler. `history` describes how to record the call. For calls
// with a derivative, it is the tuple (name of the node, kind of the result, derivative, True if the derivative reads
// the result). It is empty if the results are not differentiable, and None if the handler must record the call.
Object known_call(PyObject* callable, PyObject* const* args, size_t count) {
  const Object key(checked(PyTuple_New(Py_ssize_t(count) + 1)));
  PyTuple_SET_ITEM(key.get(), 0, Py_NewRef(callable));
  for (size_t i = 0; i < count; ++i)
    PyTuple_SET_ITEM(key.get(), Py_ssize_t(i) + 1, Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(args[i]))));
  return value_in(known_calls, key.get());
}

// Calls the innermost mode, which is inactive during the call, and returns its result. If the result is NotImplemented,
// calls the handler's function call_classes() instead.
Object call_innermost_mode(PyObject* overload, PyObject* positional) {
  static PyObject* const method = PyUnicode_InternFromString("__torch_dispatch__");
  const Object types(checked(PyTuple_New(0))), named(checked(PyDict_New()));
  PyObject* const mode = modes.back();
  modes.pop_back();
  --interceptions;
  PyObject* const values[] = {mode, overload, types.get(), positional, named.get()};
  Object output(PyObject_VectorcallMethod(method, values, 5, nullptr));
  modes.push_back(mode);
  ++interceptions;
  if (checked(output.get()) != Py_NotImplemented) return output;
  return Object(
      checked(PyObject_CallMethod(handler, "call_classes", "OOOO", overload, types.get(), positional, named.get())));
}

Object with_history(PyObject* history, PyObject* overload, PyObject* positional, Object output) {
  if (PyTuple_GET_SIZE(history) == 0) return output;
  SmallVector<const Tensor*, 4> inputs;
  const Object values(checked(PyTuple_New(PyTuple_GET_SIZE(positional))));
  bool is_own = is_tensor(output.get());  // true if the result is a single tensor and not one of the arguments
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(positional); ++i) {
    PyObject* const o = PyTuple_GET_ITEM(positional, i);
    PyTuple_SET_ITEM(values.get(), i, Py_NewRef(is_tensor(o) ? Py_None : o));
    if (is_tensor(o)) inputs.push_back(&tensor_of(o));
    is_own &= o != output.get();
  }
  if (!is_own)
    return Object(checked(PyObject_CallMethod(handler, "with_history", "OOO", overload, positional, output.get())));
  const Tensor* const result = &tensor_of(output.get());
  if (!is_inexact(result->dtype())) return output;
  SmallVector<const Tensor*, 4> saved = inputs;
  if (PyTuple_GET_ITEM(history, 3) == Py_True) saved.push_back(result);
  PythonRecording recording{text_of(PyTuple_GET_ITEM(history, 0)),
                            text_of(PyTuple_GET_ITEM(history, 1)),
                            {&result, 1},
                            {inputs.data(), inputs.size()},
                            {saved.data(), saved.size()},
                            PyTuple_GET_ITEM(history, 2),
                            values.get()};
  record_in_python(recording);
  return output;
}

// Returns the result of the innermost mode for a known call, or null if the handler must be called.
Object call_mode_directly(PyObject* callable, PyObject* const* args, size_t count) {
  if (modes.empty()) return Object();
  bool tracked = false;
  for (size_t i = 0; i < count; ++i) {
    if (class_dispatches(Py_TYPE(args[i]))) return Object();
    tracked |= is_tensor(args[i]) && tensor_of(args[i]).tracked();
  }
  const Object known = known_call(callable, args, count);
  if (!known) return Object();
  PyObject *const overload = PyTuple_GET_ITEM(known.get(), 0), *const history = PyTuple_GET_ITEM(known.get(), 1);
  if (!tracked || !recording_enabled()) return call_innermost_mode(overload, tuple_of(args, count).get());
  if (history == Py_None || recording_modes() != flambeau::modes::kGraph) return Object();
  const Object positional = tuple_of(args, count);
  Object output;
  {
    const RecordingModes unrecorded(0);
    output = call_innermost_mode(overload, positional.get());
  }
  return with_history(history, overload, positional.get(), std::move(output));
}

}  // namespace

Object call_dispatcher(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  load_handler();
  if (named_count(kwnames) == 0)
    if (Object output = call_mode_directly(callable, args, count)) return output;
  const Object positional = tuple_of(args, count);
  const Object named = kwnames ? dictionary_of(kwnames, args + count) : Object(Py_NewRef(Py_None));
  PyObject* const values[] = {callable, positional.get(), named.get()};
  return Object(checked(PyObject_Vectorcall(handler, values, 3, nullptr)));
}

PyObject* shown_device(PyObject* self) {
  const Tensor& t = tensor_of(self);
  if (FLAMBEAU_LIKELY(Py_TYPE(self) == tensor_type)) return device_object(t.device());
  const PythonPeer* const peer = peer_if_any(t);
  return peer && peer->device ? peer->device : device_object(t.device());
}

bool shows_device(PyObject* self, DeviceType type) {
  if (FLAMBEAU_LIKELY(Py_TYPE(self) == tensor_type)) return tensor_of(self).device() == type;
  PyObject* const shown = shown_device(self);
  const Object text(checked(PyObject_GetAttrString(shown, "type")));
  return text_of(text.get()) == name(type);
}

void show_device(const Tensor& t, PyObject* device) { Py_XSETREF(peer_of(t).device, Py_NewRef(device)); }

namespace {

bool is_instance(const Tensor& t) {
  auto* const object = enabled && t.defined() ? static_cast<PyObject*>(t.impl()->python_object) : nullptr;
  return object && class_dispatches(Py_TYPE(object));
}

bool must_dispatch(const Tensor& t) { return enabled && (!modes.empty() || is_instance(t)); }

Tensor tensor_result(PyObject* result) {
  const Object owner(checked(result));
  require<TypeError>(is_tensor(result), "__torch_dispatch__ returned ", Py_TYPE(result)->tp_name,
                     " for a gradient, expected a Tensor");
  return tensor_of(result);
}

template <class... Values>
Tensor call_method(const char* name, const Tensor& t, Values... values) {
  const Object self(checked(wrap_tensor(t))), method(checked(PyUnicode_FromString(name)));
  return tensor_result(PyObject_CallMethodObjArgs(self.get(), method.get(), values..., nullptr));
}

// A C++ derivative that a Python function may call until apply_derivative() returns.
struct RunningDerivative {
  const std::function<void(const Tensor*, Tensor*)>& run;
  size_t gradient_count, result_count;
};

PyObject* run_derivative(PyObject* capsule, PyObject* gradients) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    const auto* const running = static_cast<RunningDerivative*>(PyCapsule_GetContext(capsule));
    require(running,
            "the derivative that apply_derivative() receives must be called before apply_derivative() returns");
    const Object items(checked(PySequence_Tuple(gradients)));
    require(size_t(PyTuple_GET_SIZE(items.get())) == running->gradient_count, "expected ", running->gradient_count,
            " gradients, got ", PyTuple_GET_SIZE(items.get()));
    std::vector<Tensor> given(running->gradient_count), results(running->result_count);
    Device device;
    for (size_t i = 0; i < given.size(); ++i) {
      PyObject* const item = PyTuple_GET_ITEM(items.get(), Py_ssize_t(i));
      require<TypeError>(item == Py_None || is_tensor(item), "__torch_dispatch__: a gradient must be a Tensor or None");
      if (item == Py_None) continue;
      given[i] = tensor_of(item);
      device = given[i].device();
    }
    const OnDevice scope(device);
    running->run(given.data(), results.data());
    const Object out(checked(PyList_New(Py_ssize_t(results.size()))));
    for (size_t i = 0; i < results.size(); ++i)
      PyList_SET_ITEM(out.get(), Py_ssize_t(i), checked(wrap_tensor(results[i])));
    return Py_NewRef(out.get());
  });
}
PyMethodDef derivative_definition = {"derivative", run_derivative, METH_O, "derivative(gradients)"};

void apply_derivative(const char* name, const Tensor* gradients, size_t gradient_count, Tensor* results,
                      size_t result_count, const std::function<void(const Tensor*, Tensor*)>& run) {
  load_handler();
  RunningDerivative running{run, gradient_count, result_count};
  const Object capsule(checked(PyCapsule_New(&derivative_definition, nullptr, nullptr)));
  PyCapsule_SetContext(capsule.get(), &running);
  const Object function(checked(PyCFunction_New(&derivative_definition, capsule.get())));
  const Object given(checked(PyList_New(Py_ssize_t(gradient_count))));
  for (size_t i = 0; i < gradient_count; ++i)
    PyList_SET_ITEM(given.get(), Py_ssize_t(i), checked(wrap_tensor(gradients[i])));
  const Object out(PyObject_CallMethod(handler, "apply_derivative", "sOO", name, given.get(), function.get()));
  PyCapsule_SetContext(capsule.get(), nullptr);
  checked(out.get());
  const Object items(checked(PySequence_Tuple(out.get())));
  require(size_t(PyTuple_GET_SIZE(items.get())) == result_count, "expected ", result_count, " gradients of ", name);
  for (size_t i = 0; i < result_count; ++i) {
    PyObject* const item = PyTuple_GET_ITEM(items.get(), Py_ssize_t(i));
    require<TypeError>(item == Py_None || is_tensor(item), "__torch_dispatch__: a gradient must be a Tensor or None");
    if (item != Py_None) results[i] = tensor_of(item);
  }
}

const DispatchedGradients kGradients{
    is_instance,
    must_dispatch,
    [](const Tensor& a, const Tensor& b) { return call_method("add", a, Object(checked(wrap_tensor(b))).get()); },
    [](const Tensor& t) { return call_method("clone", t); },
    [](const Tensor& t) { return call_method("detach", t); },
    [](const Tensor& t) {
      const Object self(checked(wrap_tensor(t))), core(checked(PyImport_ImportModule("flambeau._core")));
      return tensor_result(PyObject_CallMethod(core.get(), "ones_like", "O", self.get()));
    },
    [](const Tensor& t, const Shape& shape) { return call_method("sum_to_size", t, Object(wrap_size(shape)).get()); },
    [](const Tensor& t, Dtype dtype) { return call_method("to", t, dtype_object(dtype)); },
    apply_derivative};

// Imports the package that registers the handler, if it is not registered yet.
void load_handler() {
  if (handler) return;
  const bool former = std::exchange(enabled, false);
  const Object points(PyImport_ImportModule("flambeau._extension_points"));
  const Object loaded(points ? PyObject_CallMethod(points.get(), "required", "s", "dispatch_handler") : nullptr);
  enabled = former;
  checked(loaded.get());
  require(handler, "the package that implements __torch_dispatch__ did not register its handler");
}

PyObject* push_mode(PyObject*, PyObject* mode) {
  dispatched_gradients = &kGradients;
  modes.push_back(Py_NewRef(mode));
  ++interceptions;
  Py_RETURN_NONE;
}

PyObject* pop_mode(PyObject*, PyObject*) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require(!modes.empty(), "no TorchDispatchMode is active in this thread");
    PyObject* const mode = modes.back();
    modes.pop_back();
    --interceptions;
    return mode;
  });
}

PyObject* current_modes(PyObject*, PyObject*) {
  const Object all(PyTuple_New(Py_ssize_t(modes.size())));
  for (size_t i = 0; all && i < modes.size(); ++i) PyTuple_SET_ITEM(all.get(), Py_ssize_t(i), Py_NewRef(modes[i]));
  return all ? PySequence_List(all.get()) : nullptr;
}

PyObject* set_enabled(PyObject*, PyObject* wanted) {
  const int value = PyObject_IsTrue(wanted);
  return value < 0 ? nullptr : PyBool_FromLong(std::exchange(enabled, bool(value)));
}

PyObject* set_handler(PyObject*, PyObject* args) {
  PyObject *callable, *known;
  if (!PyArg_ParseTuple(args, "OO!:_set_dispatch_handler", &callable, &PyDict_Type, &known)) return nullptr;
  Py_XSETREF(known_calls, Py_NewRef(known));
  Py_XSETREF(handler, Py_NewRef(callable));
  Py_RETURN_NONE;
}

PyObject* never_dispatch(PyObject*, PyObject* callable) {
  if (excluded_callables().insert(callable).second) Py_INCREF(callable);
  Py_RETURN_NONE;
}

PyObject* is_dispatched(PyObject*, PyObject* argument) { return PyBool_FromLong(dispatches(&argument, 1)); }
PyObject* innermost_mode(PyObject*, PyObject*) { return Py_NewRef(modes.empty() ? Py_None : modes.back()); }

PyObject* holds_instance(PyObject*, PyObject* values) {
  bool found = false;
  if (!dispatching_types().empty()) for_each(&values, 1, [&](PyObject* o) { found |= class_dispatches(Py_TYPE(o)); });
  return PyBool_FromLong(found);
}

PyObject* holds_recorded(PyObject*, PyObject* values) {
  bool found = false;
  if (recording_enabled()) for_each(&values, 1, [&](PyObject* o) { found |= is_tensor(o) && tensor_of(o).tracked(); });
  return PyBool_FromLong(found);
}

PyObject* is_dispatching(PyObject*, PyObject* type) {
  return PyBool_FromLong(class_dispatches(reinterpret_cast<PyTypeObject*>(type)));
}

// These are plain functions, not operators, because modes would intercept operators.
PyMethodDef controls[] = {
    {"_push_dispatch_mode", push_mode, METH_O,
     "_push_dispatch_mode(mode)\n\nMake mode.__torch_dispatch__ handle all operators of this thread."},
    {"_pop_dispatch_mode", pop_mode, METH_NOARGS, "_pop_dispatch_mode()\n\nRemove the innermost mode and return it."},
    {"_dispatch_modes", current_modes, METH_NOARGS,
     "_dispatch_modes()\n\nReturn the modes of this thread, outermost first."},
    {"_dispatch_mode", innermost_mode, METH_NOARGS,
     "_dispatch_mode()\n\nReturn the innermost mode of this thread, or None."},
    {"_holds_instance", holds_instance, METH_O,
     "_holds_instance(values)\n\nReturn True if a tuple or list, or a tuple or list in it, contains an instance of a "
     "class with __torch_dispatch__."},
    {"_holds_recorded", holds_recorded, METH_O,
     "_holds_recorded(values)\n\nReturn True if a tuple or list, or a tuple or list in it, contains a tensor whose "
     "operations are recorded."},
    {"_dispatch_enabled", set_enabled, METH_O,
     "_dispatch_enabled(enabled)\n\nEnable or disable __torch_dispatch__, and return the previous setting."},
    {"_set_dispatch_handler", set_handler, METH_VARARGS,
     "_set_dispatch_handler(callable, known)\n\nSet the handler of operators with __torch_dispatch__."},
    {"_never_dispatch", never_dispatch, METH_O,
     "_never_dispatch(callable)\n\nExclude a callable from __torch_dispatch__."},
    {"_is_dispatched", is_dispatched, METH_O,
     "_is_dispatched(argument)\n\nReturn True if __torch_dispatch__ would handle a call with this argument."},
    {"_is_dispatching_class", is_dispatching, METH_O,
     "_is_dispatching_class(type)\n\nReturn True if the instances of a class have a __torch_dispatch__."},
    {}};

PyObject* call_without_dispatch(PyObject*, PyObject* args) {  // (func, types, args=(), kwargs=None)
  PyObject *function, *types, *given = nullptr, *named = nullptr;
  if (!PyArg_ParseTuple(args, "OO|OO:_disabled_torch_dispatch_impl", &function, &types, &given, &named)) return nullptr;
  const Object positional(given ? PySequence_Tuple(given) : PyTuple_New(0));
  if (!positional) return nullptr;
  const bool former = std::exchange(enabled, false);
  PyObject* const result = PyObject_Call(function, positional.get(), named == Py_None ? nullptr : named);
  enabled = former;
  return result;
}
PyMethodDef disabled_definition = {
    "_disabled_torch_dispatch_impl", call_without_dispatch, METH_VARARGS,
    "Call the operator. A class uses this as its __torch_dispatch__ to disable dispatch."};

// Creates an instance of a class derived from Tensor that has a shape, strides and a dtype, but no memory.
PyObject* wrapper(PyObject* type, const Shape& size, const Shape& strides, int64_t offset, Dtype dtype) {
  const OnDevice meta(DeviceType::Meta);
  const Tensor blank = empty(size, dtype);
  const Tensor t = from_storage(blank.impl()->storage, size, strides, offset, dtype);
  return adopt_as(type, t);
}

}  // namespace

void note_dispatching_class(PyTypeObject* type) {
  if (dispatching_types().erase(type)) --interceptions;  // a deleted class had the same address
  Object method(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__torch_dispatch__"));
  if (!method) return PyErr_Clear();
  if (method.get() == disabled_dispatch) return;
  disable_default_override(reinterpret_cast<PyObject*>(type));
  dispatched_gradients = &kGradients;
  dispatching_types().insert(type);
  ++interceptions;
}

void bind_dispatch(PyObject* module) {
  disabled_dispatch = checked(PyCFunction_New(&disabled_definition, nullptr));
  PyModule_AddObjectRef(module, "_disabled_torch_dispatch_impl", disabled_dispatch);
  PyDict_SetItemString(tensor_type->tp_dict, "__torch_dispatch__", disabled_dispatch);
  PyType_Modified(tensor_type);
  def("_wrapper(type, size, strides, offset, dtype)", kPrivate,
      "Create an instance of a class without memory for its elements.", wrapper);
  def("_show_device(input, device)", kPrivate,
      "Set the device that an instance of a class with __torch_dispatch__ reports.", show_device);
  if (PyModule_AddFunctions(module, controls) < 0) throw PythonError();
  bind_forwarding(module);
}

}  // namespace flambeau::python
