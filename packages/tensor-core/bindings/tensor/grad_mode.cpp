// The base classes of no_grad, enable_grad and other grad mode contexts (flambeau._grad_mode). They are native, because
// training loops enter them at every step.
#include "calls/conversions.h"
#include "tensor/tensor_type.h"

namespace flambeau::python {

namespace {

struct Modes {
  bool grad, inference;
};

struct ModeObject {
  PyObject_HEAD Modes wanted;
  bool sets_inference;
  bool entered_early;            // the constructor has entered the mode, so __enter__ does nothing
  SmallVector<Modes, 4> former;  // modes to restore, one for each time that the context has been entered and not left
};

ModeObject* mode_of(PyObject* self) { return reinterpret_cast<ModeObject*>(self); }

void enter_modes(ModeObject* o) {
  o->former.push_back({grad_mode(), inference_mode()});
  if (o->sets_inference) set_inference_mode(o->wanted.inference);
  set_grad_mode(o->wanted.grad);
}

PyObject* make(PyTypeObject* type, Modes wanted, bool sets_inference) {
  ModeObject* o = mode_of(checked(type->tp_alloc(type, 0)));
  o->wanted = wanted;
  o->sets_inference = sets_inference;
  o->entered_early = false;
  new (&o->former) SmallVector<Modes, 4>();
  return reinterpret_cast<PyObject*>(o);
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  mode_of(self)->former.~SmallVector();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* enter(PyObject* self, PyObject*) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    if (!std::exchange(mode_of(self)->entered_early, false)) enter_modes(mode_of(self));
    Py_RETURN_NONE;
  });
}

PyObject* leave(PyObject* self, PyObject* const*, Py_ssize_t) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    ModeObject* o = mode_of(self);
    require(!o->former.empty(), Py_TYPE(self)->tp_name, ": __exit__ was called without a matching __enter__");
    if (o->sets_inference) set_inference_mode(o->former.back().inference);
    set_grad_mode(o->former.back().grad);
    o->former.pop_back();
    o->entered_early = false;
    Py_RETURN_NONE;
  });
}

PyObject* another(PyObject* self, PyObject*) {
  return guarded<PyObject*>(nullptr,
                            [&] { return make(Py_TYPE(self), mode_of(self)->wanted, mode_of(self)->sets_inference); });
}

// Returns the single optional argument of a constructor, or null.
PyObject* argument(PyTypeObject* type, PyObject* args, PyObject* kwargs, const char* keyword) {
  const Py_ssize_t named = kwargs ? PyDict_GET_SIZE(kwargs) : 0;
  PyObject* const value = named ? PyDict_GetItemString(kwargs, keyword) : nullptr;
  require<TypeError>(PyTuple_GET_SIZE(args) + named <= 1 && (!named || value), type->tp_name,
                     "() takes at most one argument, '", keyword, "'");
  return named ? value : PyTuple_GET_SIZE(args) ? PyTuple_GET_ITEM(args, 0) : nullptr;
}

// Constructs no_grad() or enable_grad(). If the argument is a function, decorates it, as in @no_grad without
// parentheses.
template <bool grad>
PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    PyObject* const function = argument(type, args, kwargs, "function");
    Object mode(make(type, {grad, false}, false));
    return !function || function == Py_None ? mode.release() : PyObject_CallOneArg(mode.get(), function);
  });
}

PyObject* construct_set(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    static const Parameter parameter{PyUnicode_InternFromString("mode")};
    PyObject* const given = argument(type, args, kwargs, "mode");
    require<TypeError>(given, "set_grad_enabled() missing 1 required positional arguments: \"mode\"");
    Object mode(make(type, {From<bool>::get({"set_grad_enabled", &parameter, 0}, given), false}, false));
    enter_modes(mode_of(mode.get()));
    mode_of(mode.get())->entered_early = true;
    return mode.release();
  });
}

PyObject* construct_inference(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    PyObject* const given = argument(type, args, kwargs, "mode");
    const bool decorates = given && !PyBool_Check(given), inference = given != Py_False;
    Object mode(make(type, {!inference, inference}, true));
    return decorates ? PyObject_CallOneArg(mode.get(), given) : mode.release();
  });
}

PyObject* get_mode(PyObject* self, void*) {
  const ModeObject* const o = mode_of(self);
  return PyBool_FromLong(o->sets_inference ? o->wanted.inference : o->wanted.grad);
}

PyGetSetDef attributes[] = {
    {"mode", get_mode, nullptr,
     "True if the mode is enabled inside: inference mode for inference_mode, otherwise recording of operations.",
     nullptr},
    {}};
PyMethodDef methods[] = {
    {"__enter__", enter, METH_NOARGS, nullptr},
    {"__exit__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(leave)), METH_FASTCALL, nullptr},
    {"clone", another, METH_NOARGS, "Return a new context manager of the same mode."},
    {}};

void add_type(PyObject* module, const char* name, newfunc constructor) {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(constructor)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                         {Py_tp_getset, attributes},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec = {name, sizeof(ModeObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  const Object type(checked(PyType_FromSpec(&spec)));
  PyModule_AddObjectRef(module, name + sizeof("flambeau._core.") - 1, type.get());
}

}  // namespace

void create_grad_modes(PyObject* module) {
  add_type(module, "flambeau._core._NoGrad", construct<false>);
  add_type(module, "flambeau._core._EnableGrad", construct<true>);
  add_type(module, "flambeau._core._SetGradEnabled", construct_set);
  add_type(module, "flambeau._core._InferenceMode", construct_inference);
}

}  // namespace flambeau::python
