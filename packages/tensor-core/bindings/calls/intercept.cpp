// Note [Interception]
#include "calls/intercept.h"

#include <structmember.h>

#include <algorithm>

#include "calls/autocast.h"
#include "calls/bind.h"
#include "calls/call_arguments.h"
#include "calls/dispatch.h"
#include "calls/nan_check.h"
#include "calls/overrides.h"
#include "calls/placeholders.h"

namespace flambeau::python {

std::atomic<int> interceptions{0};

namespace {

std::atomic<int> foreign_storages{0};  // number of storages that are not on the CPU

// A function that is not an operator, but that handlers can intercept like one.
struct Interceptable {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* function;
  PyObject* identity;  // what the handlers receive: the object that programs call
  bool always;         // if true, vmap handles every call, even if no argument is a placeholder
  int policy;          // the autocast flags of the function; Note [Autocast]
};

PyTypeObject* interceptable_type = nullptr;

// Returns true if vmap must handle a call even if no argument is a placeholder. This holds for operators that draw
// random numbers, because vmap decides whether all elements of the batch get the same numbers.
bool always_handled_by_vmap(PyObject* callable) {
  if (Py_TYPE(callable) == interceptable_type) return reinterpret_cast<Interceptable*>(callable)->always;
  const Binding* b = binding_of(callable);
  if (!b) return false;
  static PyObject* const name = PyUnicode_InternFromString("generator");
  return std::any_of(b->parameters.begin(), b->parameters.end(), [](const Parameter& p) { return p.name == name; });
}

// Returns the device of the first argument that is not on the CPU. Note [Devices]
Device device_among(PyObject* const* args, size_t count) {
  Device found;
  for_each(args, count, [&](PyObject* o) {
    if (found == DeviceType::Cpu && is_tensor(o) && !is_without_memory(o)) found = tensor_of(o).device();
  });
  return found;
}

void check_together(PyObject* o, Device device) {
  if (!is_tensor(o) || tensor_of(o).device() == device || tensor_of(o).dim() == 0 || is_without_memory(o)) return;
  const Device other = tensor_of(o).device();
  if (device == DeviceType::Meta || other == DeviceType::Meta)
    detail::raise<Error>("Tensor on device ", other, " is not on the expected device ", device, "!");
  detail::raise<Error>("Expected all tensors to be on the same device, but found at least two devices, ", device,
                       " and ", other, "! Use .to(device) to move a tensor");
}

// Returns the autocast policy of a call, or 0 if the call has out=.
int policy_of(PyObject* callable, PyObject* kwnames) {
  const Binding* b = binding_of(callable);
  const int policy = b && b->form == Binding::Own ? autocast_policy(b->flags, b->name) : 0;
  static PyObject* const out = PyUnicode_InternFromString("out");
  for (Py_ssize_t i = 0; policy && kwnames && i < PyTuple_GET_SIZE(kwnames); ++i)
    if (PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, i), out) == 0) return 0;
  return policy;
}

// Returns true if one of the arguments may have a handler.
bool any_may_intercept(PyObject* const* args, size_t count) {
  bool any = false;
  for_each(args, count,
           [&](PyObject* o) { any |= may_override(o) || is_placeholder(o) || class_dispatches(Py_TYPE(o)); });
  return any || in_dispatch_mode();
}

}  // namespace

bool is_interceptable(PyObject* callable) { return Py_TYPE(callable) == interceptable_type; }

void Caller::switch_to_device_of(const char* name, bool any_device, PyObject* const* args, size_t count) {
  if (!foreign_storages.load(std::memory_order_relaxed)) return;
  const Device device = device_among(args, count);
  if (device == DeviceType::Cpu) return;
  if (!any_device) for_each(args, count, [device](PyObject* o) { check_together(o, device); });
  elsewhere_.emplace(device, name);
}

bool Caller::intercept(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  const size_t all = count + (kwnames ? size_t(PyTuple_GET_SIZE(kwnames)) : 0);
  return guarded<bool>(true, [&]() -> bool {
    if (in_mode()) {
      Object returned = call_mode(callable, args, count, kwnames);
      if (returned.get() != Py_NotImplemented) {
        result = returned.release();
        return true;
      }
    }
    if (const std::vector<Object> overriding_args = overriding(args, all); !overriding_args.empty()) {
      result = call_classes(callable, overriding_args, args, count, kwnames);
      return true;
    }
    bool found = in_map() && always_handled_by_vmap(callable);
    if (placeholder_type && !found) for_each(args, all, [&](PyObject* o) { found |= is_placeholder(o); });
    if (found) {
      result = call_handler(callable, args, count, kwnames);
      return true;
    }
    if (dispatches(args, all) && may_dispatch(callable, kwnames)) {
      const int policy = policy_of(callable, kwnames);
      if (policy) return result = call_autocast(callable, policy, args, count, kwnames), true;
      Object returned = call_dispatcher(callable, args, count, kwnames);
      if (returned.get() != Py_NotImplemented) {
        result = returned.release();
        return true;
      }
    }
    const Binding* b = binding_of(callable);
    switch_to_device_of(b ? b->name.c_str() : nullptr, !b || b->flags & kAnyDevice, args, all);
    if (in_nan_check()) {
      result = call_nan_checked(callable, args, count, kwnames);
      return true;
    }
    const int policy = policy_of(callable, kwnames);
    if (policy) result = call_autocast(callable, policy, args, count, kwnames);
    return policy != 0;
  });
}

bool Caller::intercept(const char* method, PyObject* const* args, size_t count) {
  if (!in_map() && !in_mode() && !in_autocast() && !in_nan_check() && !any_may_intercept(args, count)) {
    const bool any_device = method[0] == '_';  // methods such as __getitem__ check the devices themselves
    return guarded<bool>(true, [&] {
      switch_to_device_of(method, any_device, args, count);
      return false;
    });
  }
  const Object callable(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), method));
  return !callable || intercept(callable.get(), args, count, nullptr);
}

namespace {

// Returns true if nothing handles reading or setting this attribute: no argument has a __torch_function__ or is a
// placeholder, and __torch_dispatch__ does not handle the attribute.
bool is_plain_attribute(const char* name, PyObject* const* args, size_t count) {
  if (is_dispatched_attribute(name)) return false;
  bool others = false;
  for_each(args, count, [&](PyObject* o) { others |= may_override(o) || is_placeholder(o); });
  return !others;
}

}  // namespace

bool Caller::intercepts_attribute(const char* name, PyObject* self, PyObject* value) {
  PyObject* const args[] = {self, value};
  const size_t count = value ? 2 : 1;
  if (!in_mode() && (!any_may_intercept(args, count) || is_plain_attribute(name, args, count)))
    return guarded<bool>(true, [&] {
      switch_to_device_of(name, true, args, count);
      return false;
    });
  const Object descriptor(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), name));
  if (!descriptor) return true;
  const Object accessor(PyObject_GetAttrString(descriptor.get(), value ? "__set__" : "__get__"));
  return !accessor || intercept(accessor.get(), args, count, nullptr);
}

namespace {

PyObject* call_interceptable(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  Caller caller;
  if (caller.intercepts(self, args, size_t(PyVectorcall_NARGS(nargsf)), kwnames)) return caller.result;
  return PyObject_Vectorcall(reinterpret_cast<Interceptable*>(self)->function, args, nargsf, kwnames);
}
// Calls a function that consists of operators. Classes and modes handle the call as a whole, and autocast applies to
// it. The other mechanisms apply to the operators that the function calls.
PyObject* call_composite(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  const Interceptable& o = *reinterpret_cast<Interceptable*>(self);
  if (FLAMBEAU_LIKELY(!interceptions)) return PyObject_Vectorcall(o.function, args, nargsf, kwnames);
  return guarded<PyObject*>(nullptr, [&] {
    const auto count = size_t(PyVectorcall_NARGS(nargsf));
    if (Object result = call_function_handler(o.identity, args, count, kwnames)) return result.release();
    if (const int policy = autocast_policy(o.policy)) return call_autocast(o.function, policy, args, count, kwnames);
    return PyObject_Vectorcall(o.function, args, nargsf, kwnames);
  });
}
PyObject* wrapped_attribute(PyObject* self, PyObject* name) {  // returns __name__, __doc__ etc. of the function
  PyObject* function = reinterpret_cast<Interceptable*>(self)->function;
  if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) return Py_NewRef(function);
  if (PyUnicode_CompareWithASCIIString(name, "__class__") == 0) return PyObject_GenericGetAttr(self, name);
  return PyObject_GetAttr(function, name);
}
PyMemberDef interceptable_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Interceptable, vectorcall), READONLY, nullptr}, {}};
PyType_Slot interceptable_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                     {Py_tp_getattro, reinterpret_cast<void*>(wrapped_attribute)},
                                     {Py_tp_members, interceptable_members},
                                     {0, nullptr}};
PyType_Spec interceptable_spec = {"flambeau._core.Interceptable", sizeof(Interceptable), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  interceptable_slots};

PyObject* make(vectorcallfunc call, PyObject* function) {  // never freed
  if (!interceptable_type)
    interceptable_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&interceptable_spec)));
  Interceptable* o = PyObject_New(Interceptable, interceptable_type);
  checked(reinterpret_cast<PyObject*>(o));
  o->vectorcall = call;
  o->function = Py_NewRef(function);
  o->identity = reinterpret_cast<PyObject*>(o);
  o->always = false;
  o->policy = 0;
  return reinterpret_cast<PyObject*>(o);
}

// These are plain functions, not operators, because modes would intercept operators.
PyObject* make_interceptable(PyObject*, PyObject* args) {
  PyObject* function;
  int always = 0;
  if (!PyArg_ParseTuple(args, "O|p:_interceptable", &function, &always)) return nullptr;
  return guarded<PyObject*>(nullptr, [&] {
    PyObject* const out = make(call_interceptable, function);
    reinterpret_cast<Interceptable*>(out)->always = always;
    return out;
  });
}

PyObject* make_composite(PyObject*, PyObject* args) {
  PyObject *function, *identity = nullptr;
  int policy;
  if (!PyArg_ParseTuple(args, "Oi|O:_composite", &function, &policy, &identity)) return nullptr;
  return guarded<PyObject*>(nullptr, [&] {
    PyObject* const out = make(call_composite, function);
    reinterpret_cast<Interceptable*>(out)->policy = policy;
    if (identity) reinterpret_cast<Interceptable*>(out)->identity = Py_NewRef(identity);
    return out;
  });
}

PyObject* policy_of_function(PyObject*, PyObject* function) {
  return guarded<PyObject*>(nullptr, [&] {
    const bool composite = Py_TYPE(function) == interceptable_type &&
                           reinterpret_cast<Interceptable*>(function)->vectorcall == call_composite;
    return PyLong_FromLong(composite ? autocast_policy(reinterpret_cast<Interceptable*>(function)->policy)
                                     : policy_of(function, nullptr));
  });
}

PyMethodDef makers[] = {
    {"_autocast_policy", policy_of_function, METH_O,
     "_autocast_policy(function)\n\nReturn the number in `_autocast_policies` of the rule by which autocast casts the "
     "arguments of a call in this thread, or 0."},
    {"_interceptable", make_interceptable, METH_VARARGS,
     "_interceptable(function, always=False)\n\nWrap a function so that placeholders and derived classes can handle "
     "its calls."},
    {"_composite", make_composite, METH_VARARGS,
     "_composite(function, policy, identity=...)\n\nWrap a function that consists of operators, so that autocast casts "
     "its tensors by `policy`, and so that classes and modes can handle its calls. They receive `identity`, by default "
     "the wrapper."},
    {}};

}  // namespace

void bind_interception(PyObject* module) {
  foreign_storages_changed = [](int by) { interceptions += by, foreign_storages += by; };
  bind_overrides(module);
  bind_dispatch(module);
  bind_placeholders(module);
  bind_nan_check(module);
  if (PyModule_AddFunctions(module, makers) < 0) throw PythonError();
}

}  // namespace flambeau::python
