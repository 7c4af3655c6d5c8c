// Compiled functions: guards, and replay of the program of a call. Note [Compilation] in flambeau._compile
#include "calls/autocast.h"
#include "calls/bind.h"
#include "calls/overrides.h"
#include "calls/placeholders.h"
#include "flambeau/program.h"
#include "operators/optimizer_option.h"
#include "tensor/object.h"

#if PY_VERSION_HEX < 0x030d0000
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

namespace flambeau::python {

namespace {

// Returns true for identical objects and for equal numbers or strings of the same type.
bool is_same(PyObject* now, PyObject* then) {
  if (now == then) return true;
  if (!now || Py_TYPE(now) != Py_TYPE(then)) return false;
  if (!PyLong_CheckExact(now) && !PyFloat_CheckExact(now) && !PyUnicode_CheckExact(now) && !PyBytes_CheckExact(now))
    return false;
  const int equal = PyObject_RichCompareBool(now, then, Py_EQ);
  if (equal < 0) PyErr_Clear();
  return equal > 0;
}

// Returns true if the dictionary has exactly the entries `contents` (key, value, key, value, ...), in this order.
bool is_same_dict(PyObject* dict, PyObject* contents) {
  bool same = PyDict_GET_SIZE(dict) * 2 == PyTuple_GET_SIZE(contents);
  Py_BEGIN_CRITICAL_SECTION(dict);
  PyObject *key, *value;
  for (Py_ssize_t at = 0, i = 0; same && PyDict_Next(dict, &at, &key, &value); i += 2)
    same = is_same(key, PyTuple_GET_ITEM(contents, i)) && is_same(value, PyTuple_GET_ITEM(contents, i + 1));
  Py_END_CRITICAL_SECTION();
  return same;
}

// Returns true if the dictionary has the entries `contents` (key, value, ...). A value of Ellipsis means that the key
// must be missing.
bool has_same_entries(PyObject* dict, PyObject* contents) {
  bool same = true;
  Py_BEGIN_CRITICAL_SECTION(dict);
  for (Py_ssize_t i = 0; same && i < PyTuple_GET_SIZE(contents); i += 2) {
    PyObject* const value = PyDict_GetItemWithError(dict, PyTuple_GET_ITEM(contents, i));
    PyErr_Clear();
    same = is_same(value ? value : Py_Ellipsis, PyTuple_GET_ITEM(contents, i + 1));
  }
  Py_END_CRITICAL_SECTION();
  return same;
}

bool is_same_list(PyObject* list, PyObject* contents) {
  bool same = PyList_GET_SIZE(list) == PyTuple_GET_SIZE(contents);
  Py_BEGIN_CRITICAL_SECTION(list);
  for (Py_ssize_t i = 0; same && i < PyList_GET_SIZE(list); ++i)
    same = is_same(PyList_GET_ITEM(list, i), PyTuple_GET_ITEM(contents, i));
  Py_END_CRITICAL_SECTION();
  return same;
}

// Returns true if the set has exactly the elements `contents`, which must be distinct.
bool is_same_set(PyObject* set, PyObject* contents) {
  bool same = PySet_GET_SIZE(set) == PyTuple_GET_SIZE(contents);
  for (Py_ssize_t i = 0; same && i < PyTuple_GET_SIZE(contents); ++i)
    same = PySet_Contains(set, PyTuple_GET_ITEM(contents, i)) == 1;
  PyErr_Clear();
  return same;
}

// Returns true if the tensor has the dtype, requires_grad and the sizes that `contents` lists.
bool is_same_tensor(PyObject* tensor, PyObject* contents) {
  const Tensor& t = tensor_of(tensor);
  const Object dtype(to_python(t.dtype()));
  bool same = dtype.get() == PyTuple_GET_ITEM(contents, 0) &&
              (PyTuple_GET_ITEM(contents, 1) == Py_True) == t.requires_grad() &&
              t.dim() == PyTuple_GET_SIZE(contents) - 2;
  for (int d = 0; same && d < t.dim(); ++d)
    same = PyLong_AsLongLong(PyTuple_GET_ITEM(contents, d + 2)) == t.shape()[size_t(d)];
  return same;
}

bool is_unchanged(PyObject* container, PyObject* contents) {
  if (PyDict_Check(container)) return is_same_dict(container, contents);
  if (is_tensor(container)) return is_same_tensor(container, contents);
  if (PyList_Check(container)) return is_same_list(container, contents);
  if (PySet_Check(container)) return is_same_set(container, contents);
  if (PyCell_Check(container)) return is_same(PyCell_GET(container), PyTuple_GET_ITEM(contents, 0));
  require<TypeError>(PyTuple_Check(container) && PyTuple_GET_SIZE(container) == 1,
                     "_first_changed(): expected a dict, a list, a set, a cell, a tensor or a tuple of one, got ",
                     Py_TYPE(container)->tp_name);
  PyObject* const space = PyTuple_GET_ITEM(container, 0);
  if (PyType_Check(space)) {
#if PY_VERSION_HEX < 0x030c0000
    return has_same_entries(reinterpret_cast<PyTypeObject*>(space)->tp_dict, contents);
#else
    return has_same_entries(Object(PyType_GetDict(reinterpret_cast<PyTypeObject*>(space))).get(), contents);
#endif
  }
  if (PyModule_Check(space)) return has_same_entries(PyModule_GetDict(space), contents);
  require<TypeError>(PyDict_Check(space), "_first_changed(): expected a dict in a tuple, got ",
                     Py_TYPE(space)->tp_name);
  return has_same_entries(space, contents);
}

bool are_unchanged(PyObject* containers, PyObject* contents, Py_ssize_t& i) {
  for (i = 0; i < PyTuple_GET_SIZE(containers); ++i)
    if (!is_unchanged(PyTuple_GET_ITEM(containers, i), PyTuple_GET_ITEM(contents, i))) return false;
  return true;
}

void require_pair(PyObject* containers, PyObject* contents) {
  require<TypeError>(PyTuple_Check(containers) && PyTuple_Check(contents) &&
                         PyTuple_GET_SIZE(containers) == PyTuple_GET_SIZE(contents),
                     "expected the containers and their contents as two tuples of one length");
}

// Returns true if a mode or a function transform intercepts operators in this thread.
bool is_intercepting() { return in_mode() || in_map(); }

// _first_changed(containers, contents): returns the index of the first container whose contents have changed, or -1. It
// is not an operator, because the classes of tensors in the containers would intercept an operator.
PyObject* first_changed(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2, "_first_changed() takes containers and their contents");
    require_pair(args[0], args[1]);
    Py_ssize_t i;
    return PyLong_FromSsize_t(are_unchanged(args[0], args[1], i) ? -1 : i);
  });
}

// A captured program for calls whose arguments are the program's inputs, in the same order, and whose result is a
// tensor or a tuple of tensors and numbers.
struct CompiledCall {
  struct Input {
    PyTypeObject* type;
    Dtype dtype;
    Device device;
    int dims;
    bool requires_grad;
  };
  Object program;  // capsule with the program
  Values state;
  // Numbers that every call reads again: their positions in `state`, and where to read them.
  std::vector<std::pair<size_t, Object>> options;
  std::vector<Input> inputs;
  Object containers, contents;
  bool is_single;  // true if the result is a single tensor instead of a tuple
  uint8_t modes = recording_modes();
  bool inference = inference_mode();
  Dtype default_dtype = flambeau::default_dtype();
  Device default_device = Placement().of_fresh();
  int64_t autocast = autocast_state();

  bool takes(PyObject* const* args, Py_ssize_t count) const {
    if (size_t(count) != inputs.size() || modes != recording_modes() || inference != inference_mode() ||
        default_dtype != flambeau::default_dtype() || !(default_device == Placement().of_fresh()) ||
        autocast != autocast_state())
      return false;
    for (Py_ssize_t i = 0; i < count; ++i) {
      const Input& input = inputs[size_t(i)];
      if (Py_TYPE(args[i]) != input.type) return false;
      const Tensor& t = tensor_of(args[i]);
      if (t.dtype() != input.dtype || !(t.device() == input.device) || t.dim() != input.dims ||
          t.requires_grad() != input.requires_grad || !t.is_contiguous())
        return false;
      for (Py_ssize_t k = 0; k < i; ++k)
        if (args[k] == args[i]) return false;
    }
    return true;
  }
};

constexpr const char* kCompiledCall = "flambeau.CompiledCall";

// _compiled_call(program, example, state, containers, contents, is_single): creates a CompiledCall.
PyObject* compiled_call(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 6 && PyTuple_Check(args[1]) && PyTuple_Check(args[2]),
                       "_compiled_call() takes a program, example inputs, the state, containers, their contents and "
                       "whether the result is a single value");
    require_pair(args[3], args[4]);
    auto call = std::make_unique<CompiledCall>();
    program_of(args[0]);
    call->program = Object(Py_NewRef(args[0]));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args[1]); ++i) {
      PyObject* const input = PyTuple_GET_ITEM(args[1], i);
      require<TypeError>(is_tensor(input), "_compiled_call(): every example input must be a Tensor");
      const Tensor& t = tensor_of(input);
      call->inputs.push_back({Py_TYPE(input), t.dtype(), t.device(), t.dim(), t.requires_grad()});
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args[2]); ++i) {
      PyObject* const given = PyTuple_GET_ITEM(args[2], i);
      call->state.push_back(state_value(given));
      if (!is_tensor(given)) call->options.emplace_back(size_t(i), Object(Py_NewRef(given)));
    }
    call->containers = Object(Py_NewRef(args[3]));
    call->contents = Object(Py_NewRef(args[4]));
    call->is_single = args[5] == Py_True;
    PyObject* const capsule = checked(PyCapsule_New(call.get(), kCompiledCall, [](PyObject* self) {
      delete static_cast<CompiledCall*>(PyCapsule_GetPointer(self, kCompiledCall));
    }));
    call.release();
    return capsule;
  });
}

// _replay(compiled_call, args, unmet): runs the program, or returns `unmet` if the call needs another program.
PyObject* replay(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 3 && PyTuple_Check(args[1]), "_replay() takes a compiled call, a tuple and an object");
    const auto* const call = static_cast<const CompiledCall*>(PyCapsule_GetPointer(args[0], kCompiledCall));
    if (!call) throw PythonError();
    PyObject* const* const given = &PyTuple_GET_ITEM(args[1], 0);
    Py_ssize_t changed;
    if (is_intercepting() || !call->takes(given, PyTuple_GET_SIZE(args[1])) ||
        !are_unchanged(call->containers.get(), call->contents.get(), changed))
      return Py_NewRef(args[2]);
    const SuspendAutocast suspended;  // the program contains the casts
    Values inputs;
    inputs.reserve(call->inputs.size());
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args[1]); ++i) inputs.emplace_back(tensor_of(given[i]));
    Values state;
    if (!call->options.empty()) {
      state = call->state;
      for (const auto& [i, option] : call->options) state[i] = state_value(option.get());
    }
    Values results;
    try {
      results = program_of(call->program.get()).run(inputs, call->options.empty() ? call->state : state);
    } catch (const RequirementError&) {
      return Py_NewRef(args[2]);
    }
    if (call->is_single) return checked(object_of(results.at(0)));
    Object out(checked(PyTuple_New(Py_ssize_t(results.size()))));
    for (size_t i = 0; i < results.size(); ++i)
      PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(object_of(results[i])));
    return out.release();
  });
}

PyCFunction function_of(PyObject* (*f)(PyObject*, PyObject* const*, Py_ssize_t)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}
PyMethodDef definitions[] = {
    {"_first_changed", function_of(first_changed), METH_FASTCALL,
     "_first_changed(containers, contents)\n\nReturn the index of the first container that differs from its recorded "
     "contents, or -1."},
    {"_is_intercepting", [](PyObject*, PyObject*) { return PyBool_FromLong(is_intercepting()); }, METH_NOARGS,
     "_is_intercepting()\n\nReturn True if a mode or a transform intercepts operators."},
    {"_compiled_call", function_of(compiled_call), METH_FASTCALL,
     "_compiled_call(program, example, state, containers, contents, is_single)\n\nReturn a program for calls with "
     "tensors like the example's tensors, in the current modes."},
    {"_replay", function_of(replay), METH_FASTCALL,
     "_replay(compiled_call, args, unmet)\n\nReturn the results of a program, or `unmet` if the call needs another "
     "program."},
};

}  // namespace

void bind_compiled(PyObject* module) {
  for (PyMethodDef& definition : definitions)
    PyModule_AddObjectRef(module, definition.ml_name, Object(checked(PyCFunction_New(&definition, nullptr))).get());
}

}  // namespace flambeau::python
