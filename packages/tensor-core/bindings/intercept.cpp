// Note [Interception]
#include "intercept.h"

#include <structmember.h>

#include <algorithm>
#include <unordered_set>

#include "autocast.h"
#include "bind.h"

namespace flambeau::python {

std::atomic<int> interceptions{0};

namespace {

std::atomic<int> foreign_storages{0};       // elsewhere than on the CPU
thread_local int running_maps = 0;          // how many levels of vmap the code that runs now is inside of
thread_local bool overrides_heeded = true;  // false in flambeau.overrides.DisableTorchFunctionSubclass
PyObject* placeholder_handler = nullptr;    // handler(callable, arguments, out)

constexpr const char kEscaped[] =
    "a tensor that stood for a batch inside of vmap was used after that vmap had ended; return it from the mapped "
    "function instead of keeping it";

// Calls visit(o) for every argument and for the elements of lists and tuples among them.
template <class Visit>
void for_each(PyObject* const* args, size_t count, Visit&& visit, int depth = 0) {
  for (size_t i = 0; i < count; ++i) {
    PyObject* o = args[i];
    if (o && depth < 2 && (PyTuple_CheckExact(o) || PyList_CheckExact(o)))
      for_each(PySequence_Fast_ITEMS(o), size_t(PySequence_Fast_GET_SIZE(o)), visit, depth + 1);
    else if (o)
      visit(o);
  }
}

bool is_placeholder(PyObject* o) { return Py_TYPE(o) == placeholder_type; }

PyObject* disabled_override = nullptr;  // what a class names that does not want to be asked

// The classes that want to be. One of them may have ended since, and another lie where it lay: that one is asked for
// its method, too.
std::unordered_set<PyTypeObject*>& overriding_types() {
  static auto* once = new std::unordered_set<PyTypeObject*>;
  return *once;
}
bool may_override(PyObject* o) { return Py_TYPE(o) != tensor_type && overriding_types().contains(Py_TYPE(o)); }

// The class method of an argument's class, or null where it has none of its own to ask.
Object override_of(PyObject* o) {
  if (!may_override(o) || !is_tensor(o)) return Object();
  Object method(checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), "__torch_function__")));
  return method.get() == disabled_override ? Object() : std::move(method);
}

// Those who are asked, in their order: from left to right, subclasses before their bases.
// They are held: what is asked may change the list that an argument came in.
std::vector<Object> overriding(PyObject* const* args, size_t count) {
  std::vector<Object> candidates, out;
  for_each(args, count, [&](PyObject* o) {
    if (may_override(o)) candidates.emplace_back(Py_NewRef(o));
  });
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

Object tuple_of(PyObject* const* items, size_t count) {
  Object out(checked(PyTuple_New(Py_ssize_t(count))));
  for (size_t i = 0; i < count; ++i) PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), Py_NewRef(items[i]));
  return out;
}

Object dictionary_of(PyObject* kwnames, PyObject* const* values) {
  Object out(checked(PyDict_New()));
  for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); ++i)
    if (PyDict_SetItem(out.get(), PyTuple_GET_ITEM(kwnames, i), values[i]) < 0) throw PythonError();
  return out;
}

PyObject* ask_classes(PyObject* callable, const std::vector<Object>& asked, PyObject* const* args, size_t count,
                      PyObject* kwnames) {
  std::vector<PyObject*> classes;
  for (const Object& o : asked) classes.push_back(reinterpret_cast<PyObject*>(Py_TYPE(o.get())));
  const Object types = tuple_of(classes.data(), classes.size()), positional = tuple_of(args, count);
  const Object named = dictionary_of(kwnames, args + count);
  for (const Object& o : asked) {
    const Object method = override_of(o.get());
    Object answer(checked(
        PyObject_CallFunctionObjArgs(method.get(), callable, types.get(), positional.get(), named.get(), nullptr)));
    if (answer.get() != Py_NotImplemented) return answer.release();
  }
  PyErr_Format(PyExc_TypeError, "no implementation found for '%R' on types that implement __torch_function__: %R",
               callable, types.get());
  throw PythonError();
}

// Of an operator: handler(operator, a value for every parameter, out or None); of anything else: handler(callable,
// positional arguments, a dictionary of the others or None).
PyObject* ask_handler(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  require<Error>(running_maps > 0, kEscaped);
  if (Py_TYPE(callable) != operator_type) {
    const Object named = kwnames ? dictionary_of(kwnames, args + count) : Object(Py_NewRef(Py_None));
    return PyObject_CallFunctionObjArgs(placeholder_handler, callable, tuple_of(args, count).get(), named.get(),
                                        nullptr);
  }
  const Binding& b = *reinterpret_cast<OperatorObject*>(callable)->binding;
  Arguments values;
  collect(b, args, count, kwnames, values);
  const Object all = tuple_of(values.at, b.parameters.size());
  return PyObject_CallFunctionObjArgs(placeholder_handler, callable, all.get(), values.out ? values.out : Py_None,
                                      nullptr);
}

// A function that is no operator, but may be answered for as one.
struct Interceptable {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* function;
  bool always;  // inside of a map it is answered for without a placeholder among its arguments, too
  int policy;   // Note [Autocast]
};

PyTypeObject* interceptable_type = nullptr;

// Whether a map has to be asked in any case: about operators that draw random numbers, it decides whether all elements
// of its batch get the same.
bool concerns_maps(PyObject* callable) {
  if (Py_TYPE(callable) == interceptable_type) return reinterpret_cast<Interceptable*>(callable)->always;
  if (Py_TYPE(callable) != operator_type) return false;
  static PyObject* const name = PyUnicode_InternFromString("generator");
  for (const Parameter& p : reinterpret_cast<OperatorObject*>(callable)->binding->parameters)
    if (p.name == name) return true;
  return false;
}

// Note [Devices]: of the first argument that is not on the CPU.
Device device_among(PyObject* const* args, size_t count) {
  Device found;
  for_each(args, count, [&](PyObject* o) {
    if (found == DeviceType::Cpu && is_tensor(o)) found = tensor_of(o).device();
  });
  return found;
}

void check_together(PyObject* o, Device device) {
  if (!is_tensor(o) || tensor_of(o).device() == device || tensor_of(o).dim() == 0) return;
  const Device other = tensor_of(o).device();
  if (device == DeviceType::Meta || other == DeviceType::Meta)
    detail::raise<Error>("Tensor on device ", other, " is not on the expected device ", device, "!");
  detail::raise<Error>("Expected all tensors to be on the same device, but found at least two devices, ", device,
                       " and ", other, "! .to(device) moves a tensor");
}

// What autocast wants of a call; nothing of one that writes its result somewhere.
int policy_of(PyObject* callable, PyObject* kwnames) {
  if (Py_TYPE(callable) != operator_type) return 0;
  const Binding& b = *reinterpret_cast<OperatorObject*>(callable)->binding;
  const int policy = b.form == Binding::Own ? autocast_policy(b.flags, b.name) : 0;
  static PyObject* const out = PyUnicode_InternFromString("out");
  for (Py_ssize_t i = 0; policy && kwnames && i < PyTuple_GET_SIZE(kwnames); ++i)
    if (PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, i), out) == 0) return 0;
  return policy;
}

// Whether one of the arguments may want to answer.
bool any_may_answer(PyObject* const* args, size_t count) {
  bool any = false;
  for_each(args, count, [&](PyObject* o) { any |= may_override(o) || is_placeholder(o); });
  return any;
}

}  // namespace

void Caller::go_to_device_of(const char* name, bool any_device, PyObject* const* args, size_t count) {
  if (!foreign_storages.load(std::memory_order_relaxed)) return;
  const Device device = device_among(args, count);
  if (device == DeviceType::Cpu) return;
  if (!any_device) for_each(args, count, [device](PyObject* o) { check_together(o, device); });
  elsewhere_.emplace(device, name);
}

bool Caller::ask_others(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  const size_t all = count + (kwnames ? size_t(PyTuple_GET_SIZE(kwnames)) : 0);
  return guarded<bool>(true, [&]() -> bool {
    if (overrides_heeded && !overriding_types().empty()) {
      if (const std::vector<Object> asked = overriding(args, all); !asked.empty()) {
        answer = ask_classes(callable, asked, args, count, kwnames);
        return true;
      }
    }
    bool found = running_maps > 0 && concerns_maps(callable);
    if (placeholder_type && !found) for_each(args, all, [&](PyObject* o) { found |= is_placeholder(o); });
    if (found) {
      answer = ask_handler(callable, args, count, kwnames);
      return true;
    }
    const Binding* b =
        Py_TYPE(callable) == operator_type ? reinterpret_cast<OperatorObject*>(callable)->binding : nullptr;
    go_to_device_of(b ? b->name.c_str() : nullptr, !b || b->flags & kAnyDevice, args, all);
    const int policy = policy_of(callable, kwnames);
    if (policy) answer = call_autocast(callable, policy, args, count, kwnames);
    return policy != 0;
  });
}

bool Caller::ask_others(const char* method, PyObject* const* args, size_t count) {
  if (running_maps == 0 && !in_autocast() && !any_may_answer(args, count)) {
    const bool any_device = method[0] == '_';  // __getitem__ and its like: they look for themselves
    return guarded<bool>(true, [&] {
      go_to_device_of(method, any_device, args, count);
      return false;
    });
  }
  const Object callable(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), method));
  return !callable || ask_others(callable.get(), args, count, nullptr);
}

bool Caller::asks_for_attribute(const char* name, PyObject* self, PyObject* value) {
  PyObject* const args[] = {self, value};
  const size_t count = value ? 2 : 1;
  if (!any_may_answer(args, count))
    return guarded<bool>(true, [&] {
      go_to_device_of(name, true, args, count);
      return false;
    });
  const Object descriptor(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), name));
  if (!descriptor) return true;
  const Object accessor(PyObject_GetAttrString(descriptor.get(), value ? "__set__" : "__get__"));
  return !accessor || ask_others(accessor.get(), args, count, nullptr);
}

namespace {

// What one element of a batch looks like: its shape and dtype, over an element that nobody reads.
Tensor shell_of(PyObject* value) {
  const Tensor& t = tensor_of(value);
  require(t.dim() > 0, "a batch needs a dimension");
  static Tensor elements[kDtypeCount];  // one of each dtype: what the placeholders' strides of zero point at
  Tensor& element = elements[int(t.dtype())];
  const OnDevice cpu(DeviceType::Cpu);
  if (!element.defined()) element = zeros({}, t.dtype());
  const Shape shape(t.shape().begin() + 1, t.shape().end());
  Shape strides;
  for (size_t i = 0; i < shape.size(); ++i) strides.push_back(0);
  return from_storage(element.impl()->storage, shape, strides, 0, t.dtype());
}

// _placeholder(value, level): for the batch `value`, whose first dimension counts the elements.
PyObject* make_placeholder(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2 && placeholder_type && (is_tensor(args[0]) || is_placeholder(args[0])),
                       "_placeholder(): expected a batch and its level");
    return adopt_placeholder(shell_of(args[0]), args[0], args[1]);
  });
}

// _become(placeholder, value): the in-place form of a view gives the placeholder another shape.
PyObject* become_batch(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2 && is_placeholder(args[0]) && (is_tensor(args[1]) || is_placeholder(args[1])),
                       "_become(): expected a placeholder and a batch");
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

PyObject* as_subclass(const Tensor& t, PyObject* type) {
  const Tensor same = expand(t, t.shape());  // another tensor, with the history of the first
  return adopt_as(type, same);
}

PyObject* set_running_maps(PyObject*, PyObject* count) {
  const int wanted = int(PyLong_AsLong(count)), previous = running_maps;
  if (wanted == -1 && PyErr_Occurred()) return nullptr;
  interceptions += wanted - previous;
  running_maps = wanted;
  return PyLong_FromLong(previous);
}

bool set_overrides_heeded(bool heeded) { return std::exchange(overrides_heeded, heeded); }

// Calls an operator with a value for every parameter, as the handler got them.
PyObject* call_given(PyObject* callable, PyObject* all) {
  require<TypeError>(Py_TYPE(callable) == operator_type && PyTuple_Check(all), "expected an operator and a tuple");
  const Binding& b = *reinterpret_cast<OperatorObject*>(callable)->binding;
  require<TypeError>(size_t(PyTuple_GET_SIZE(all)) == b.parameters.size(), b.name, "(): wrong number of values");
  PyObject* args[Arguments::kMax];
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

// What handlers use must not be answered for by handlers: these are no operators.
PyMethodDef controls[] = {
    {"_placeholder", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(make_placeholder)), METH_FASTCALL,
     "_placeholder(value, level)\n\nAn object that stands for the batch `value`."},
    {"_become", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(become_batch)), METH_FASTCALL,
     "_become(placeholder, value)\n\nMakes a placeholder stand for another batch of the same level."},
    {"_running_maps", set_running_maps, METH_O,
     "_running_maps(count)\n\nSets how many levels of vmap run in this thread; returns how many did."},
    {"_call_with_all", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_with_all)), METH_FASTCALL,
     "_call_with_all(operator, values)\n\nCalls an operator with a value for every parameter."},
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
PyMethodDef disabled_definition = {"_disabled_torch_function_impl", call_without_overrides, METH_VARARGS,
                                   "The __torch_function__ of a class that does not want to be asked."};

PyObject* call_interceptable(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  Caller caller;
  if (caller.asks(self, args, size_t(PyVectorcall_NARGS(nargsf)), kwnames)) return caller.answer;
  return PyObject_Vectorcall(reinterpret_cast<Interceptable*>(self)->function, args, nargsf, kwnames);
}
PyObject* call_autocasting(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  const Interceptable& o = *reinterpret_cast<Interceptable*>(self);
  if (const int policy = FLAMBEAU_UNLIKELY(interceptions) ? autocast_policy(o.policy) : 0)
    return guarded<PyObject*>(
        nullptr, [&] { return call_autocast(o.function, policy, args, size_t(PyVectorcall_NARGS(nargsf)), kwnames); });
  return PyObject_Vectorcall(o.function, args, nargsf, kwnames);
}
PyObject* wrapped_attribute(PyObject* self, PyObject* name) {  // __name__, __doc__, ...: the function's own
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

PyObject* make_interceptable(PyObject* function, bool always) {  // lives as long as the process
  if (!interceptable_type)
    interceptable_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&interceptable_spec)));
  Interceptable* o = PyObject_New(Interceptable, interceptable_type);
  checked(reinterpret_cast<PyObject*>(o));
  o->vectorcall = call_interceptable;
  o->function = Py_NewRef(function);
  o->always = always;
  o->policy = 0;
  return reinterpret_cast<PyObject*>(o);
}

PyObject* make_autocasting(PyObject* function, int64_t policy) {
  PyObject* out = make_interceptable(function, false);
  reinterpret_cast<Interceptable*>(out)->vectorcall = call_autocasting;
  reinterpret_cast<Interceptable*>(out)->policy = int(policy);
  return out;
}

}  // namespace

void note_subclass(PyObject* type) {
  const Object method(checked(PyObject_GetAttrString(type, "__torch_function__")));
  if (method.get() == disabled_override) return;
  overriding_types().insert(reinterpret_cast<PyTypeObject*>(type));
  ++interceptions;
}

void bind_interception(PyObject* module) {
  foreign_storages_changed = [](int by) { interceptions += by, foreign_storages += by; };
  disabled_override = checked(PyCFunction_New(&disabled_definition, nullptr));
  PyModule_AddObjectRef(module, "_disabled_torch_function_impl", disabled_override);
  if (PyModule_AddFunctions(module, controls) < 0) throw PythonError();
  def("_as_subclass(input, type)", kPrivate, "The same elements as an instance of a class.", as_subclass);
  def("_overrides_heeded(heeded)", kPrivate, "Sets whether __torch_function__ is asked; returns whether it was.",
      set_overrides_heeded);
  def("_define_placeholder(type, handler)", kPrivate, "Sets the type that stands for batches, and who answers for it.",
      define_placeholder);
  def("_interceptable(function, always=False)", kPrivate,
      "A function that placeholders and derived classes can answer for.", make_interceptable);
  def("_autocasting(function, policy)", kPrivate, "A function whose tensors autocast casts, as those of an operator.",
      make_autocasting);
}

}  // namespace flambeau::python
