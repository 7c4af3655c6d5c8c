// The Python type of operators, and their publication in the module and in the type Tensor.
#include "calls/binding.h"
#include "calls/call_arguments.h"

#include <structmember.h>

#include <algorithm>

#include "tensor/library_name.h"

namespace flambeau::python {

PyTypeObject *operator_type = nullptr, *method_type = nullptr;

namespace {

PyObject* operator_repr(PyObject* self) {
  const char* const name = reinterpret_cast<OperatorObject*>(self)->binding->name.c_str();
  if (imported_as_torch()) {  // programs recognise PyTorch's operators in fx graphs by this text
    return Py_TYPE(self) == method_type
               ? PyUnicode_FromFormat("<method '%s' of 'torch._C.TensorBase' objects>", name)
               : PyUnicode_FromFormat("<built-in method %s of type object at %p>", name, Py_TYPE(self));
  }
  return PyUnicode_FromFormat("<%s operator %s>", library_name(), name);
}
// Returns a bound method. A direct method call does not need one (Py_TPFLAGS_METHOD_DESCRIPTOR).
PyObject* operator_bind(PyObject* self, PyObject* object, PyObject*) {
  return object ? PyMethod_New(self, object) : Py_NewRef(self);
}
PyObject* operator_name(PyObject* self, void*) {
  return PyUnicode_FromString(reinterpret_cast<OperatorObject*>(self)->binding->name.c_str());
}
PyObject* operator_module(PyObject* self, void*) {
  const auto& o = *reinterpret_cast<OperatorObject*>(self);
  PyObject* const assigned = o.module.load(std::memory_order_acquire);
  const std::string_view module = assigned ? text_of(assigned) : std::string_view(o.binding->module);
  return PyUnicode_FromString(under_library_name(module).c_str());
}
// Sets __module__, which pickle needs, when another package publishes the operator. The previous value is never freed,
// because other threads may be reading it.
int set_operator_module(PyObject* self, PyObject* value, void*) {
  if (!value || !PyUnicode_CheckExact(value)) {
    PyErr_SetString(PyExc_TypeError, "__module__ of an operator must be a str");
    return -1;
  }
  Py_INCREF(value);
  PyUnicode_InternInPlace(&value);
  reinterpret_cast<OperatorObject*>(self)->module.store(value, std::memory_order_release);
  return 0;
}
PyObject* operator_doc(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  const Object examples(PyImport_ImportModule("flambeau._examples"));  // Note [Examples]
  if (!examples) return nullptr;
  return PyObject_CallMethod(examples.get(), "with_example", "ss", (b.module + '.' + b.name).c_str(),
                             (b.signature + "\n\n" + b.doc).c_str());
}
PyObject* operator_text_signature(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  std::string text = b.signature.substr(b.signature.find('('));
  if (b.flags & kOut)
    text = text.substr(0, text.size() - 1) + (text.find("*") == std::string::npos ? ", *, out=None)" : ", out=None)");
  return PyUnicode_FromString(text.c_str());
}
PyObject* operator_signature(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  const Object signatures(PyImport_ImportModule("flambeau._signatures"));
  if (!signatures) return nullptr;
  if (b.python) return PyObject_CallMethod(signatures.get(), "of", "Oi", b.python, int(bool(b.flags & kOut)));
  const Object text(operator_text_signature(self, nullptr));
  return text ? PyObject_CallMethod(signatures.get(), "parse", "O", text.get()) : nullptr;
}
// Returns __defaults__ and __kwdefaults__, which some of PyTorch's operators have, because they are Python functions.
PyObject* operator_defaults(PyObject* self, void*) {
  std::vector<PyObject*> found;
  for (const Parameter& p : reinterpret_cast<OperatorObject*>(self)->binding->parameters)
    if (p.fallback && !p.keyword_only && !p.variadic) found.push_back(p.fallback);
  if (found.empty()) Py_RETURN_NONE;
  return guarded<PyObject*>(nullptr, [&] { return tuple_of(found.data(), found.size()).release(); });
}
PyObject* operator_keyword_defaults(PyObject* self, void*) {
  Object found(PyDict_New());
  for (const Parameter& p : reinterpret_cast<OperatorObject*>(self)->binding->parameters)
    if (found && p.fallback && p.keyword_only && PyDict_SetItem(found.get(), p.name, p.fallback) < 0) return nullptr;
  if (found && PyDict_GET_SIZE(found.get()) == 0) Py_RETURN_NONE;
  return found.release();
}
PyObject* operator_parameters(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  PyObject* names = PyTuple_New(Py_ssize_t(b.parameters.size()));
  for (size_t i = 0; names && i < b.parameters.size(); ++i)
    PyTuple_SET_ITEM(names, Py_ssize_t(i), Py_NewRef(b.parameters[i].name));
  return names;
}
PyObject* operator_wrapped(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  if (b.python && b.form == Binding::Own) return Py_NewRef(b.python);
  PyErr_Format(PyExc_AttributeError, "operator %s has no __wrapped__, because it is implemented in C++",
               b.name.c_str());
  return nullptr;
}
PyObject* operator_batched(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  if (!b.batched) Py_RETURN_NONE;
  return b.batched == &b ? Py_NewRef(self) : make_operator(b.batched, call_binding);
}
PyObject* operator_reduce(PyObject* self, PyObject*) {  // pickles operators by their global names
  const Object name(operator_name(self, nullptr));
  if (!name || Py_TYPE(self) != method_type) return Py_XNewRef(name.get());
  const Object builtins(PyImport_ImportModule("builtins"));
  const Object getattr(builtins ? PyObject_GetAttrString(builtins.get(), "getattr") : nullptr);
  return getattr ? Py_BuildValue("O(OO)", getattr.get(), tensor_type, name.get()) : nullptr;
}

PyGetSetDef operator_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {"__name__", operator_name, nullptr, nullptr, nullptr},
    {"__qualname__", operator_name, nullptr, nullptr, nullptr},
    {"__module__", operator_module, set_operator_module, nullptr, nullptr},
    {"__doc__", operator_doc, nullptr, nullptr, nullptr},
    {"__text_signature__", operator_text_signature, nullptr, nullptr, nullptr},
    {"__signature__", operator_signature, nullptr, nullptr, nullptr},
    {"__defaults__", operator_defaults, nullptr, nullptr, nullptr},
    {"__kwdefaults__", operator_keyword_defaults, nullptr, nullptr, nullptr},
    {"__wrapped__", operator_wrapped, nullptr, nullptr, nullptr},
    {"batched", operator_batched, nullptr, "Operator for tensors with a leading batch dimension, or None.", nullptr},
    {"parameters", operator_parameters, nullptr, "Names of the parameters, in the order of the signature.", nullptr},
    {}};
PyMethodDef operator_methods[] = {{"__reduce__", operator_reduce, METH_NOARGS, nullptr}, {}};
PyMemberDef operator_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OperatorObject, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(OperatorObject, attributes), READONLY, nullptr},
    {}};
// Note [Functions and methods]
// As in PyTorch, a function such as flambeau.tanh does not become a method if a class has it as an attribute
// (`activation = flambeau.tanh`), but a method of Tensor does. Therefore, functions and methods are objects of two
// types. The types are immutable, because the interpreter specialises method calls only for immutable types.
PyTypeObject* make_type(const char* name, bool is_method) {
  const auto pointer = [](auto* function) { return reinterpret_cast<void*>(function); };
  PyType_Slot slots[] = {{Py_tp_call, pointer(PyVectorcall_Call)},
                         {Py_tp_repr, pointer(operator_repr)},
                         {Py_tp_getset, operator_attributes},
                         {Py_tp_methods, operator_methods},
                         {Py_tp_members, operator_members},
                         {is_method ? Py_tp_descr_get : 0, is_method ? pointer(operator_bind) : nullptr},
                         {0, nullptr}};
  const unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                         Py_TPFLAGS_IMMUTABLETYPE | (is_method ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0);
  PyType_Spec spec{name, sizeof(OperatorObject), 0, flags, slots};
  return reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
}

}  // namespace

PyObject* make_operator(const Binding* binding, vectorcallfunc call, bool is_method) {
  if (!operator_type) {
    operator_type = make_type("flambeau._core.Operator", false);
    method_type = make_type("flambeau._core.OperatorMethod", true);
  }
  OperatorObject* o = PyObject_New(OperatorObject, is_method ? method_type : operator_type);
  checked(reinterpret_cast<PyObject*>(o));
  o->vectorcall = call;
  o->binding = binding;
  new (&o->module) std::atomic<PyObject*>(nullptr);
  o->attributes = nullptr;
  return reinterpret_cast<PyObject*>(o);
}

void add_public(PyObject* module, const char* name, PyObject* value) {
  PyModule_AddObjectRef(module, name, value);
  const Object names(PyObject_GetAttrString(module, "__all__")), text(PyUnicode_FromString(name));
  if (!names || !text || PyList_Append(names.get(), text.get()) < 0) throw PythonError();
}

void add_method(const std::string& name, const Binding* binding, vectorcallfunc call) {
  const Object method(make_operator(binding, call, true));
  if (PyDict_SetItemString(tensor_type->tp_dict, name.c_str(), method.get()) < 0) throw PythonError();
}

void count_plain_arguments(Binding& b) {
  const std::vector<Parameter>& all = b.parameters;
  const auto by_name = std::find_if(all.begin(), all.end(), [](auto& p) { return p.variadic || p.keyword_only; });
  const auto required = std::find_if(all.rbegin(), all.rend(), [](auto& p) { return !p.fallback; });
  b.least = uint8_t(all.rend() - required);
  b.most = uint8_t(by_name - all.begin());
}

namespace {

Binding* another_form(const Binding& b, Binding::Form form, const char* suffix, const char* doc, int flags) {
  Binding* other = new Binding(b);
  other->form = form;
  other->shortcut = nullptr;
  other->batched = other->in_place = nullptr;
  other->name += suffix;
  other->signature.insert(other->signature.find('('), suffix);
  other->doc = doc + b.name + ".";
  other->flags = flags;
  if (form == Binding::InPlace && b.in_place) {
    other->form = Binding::Own;
    other->function = b.in_place->function;
    other->invoke = b.in_place->invoke;
  }
  if (form != Binding::InPlace) add_to_registry(other);  // in-place forms are described by the flag kInPlace
  return other;
}

}  // namespace

PyObject* publish(PyObject* module, Binding* b) {
  count_plain_arguments(*b);
  const vectorcallfunc call = b->shortcut ? call_shortcut : call_binding;
  Object callable(make_operator(b, call));
  if (b->flags & kFunction) add_public(module, b->name.c_str(), callable.get());
  if (b->flags & kPrivate)
    PyModule_AddObjectRef(module, (b->attribute.empty() ? b->name : b->attribute).c_str(), callable.get());
  if (b->flags & kMethod) add_method(b->name, b, call);
  if (b->flags & kInPlace || b->in_place) {
    const int function = b->flags & kInPlace ? b->flags & kFunction : 0;
    Py_DECREF(publish(module, another_form(*b, Binding::InPlace, "_", "In-place form of ", kMethod | function)));
  }
  if (b->flags & kCopy)
    Py_DECREF(publish(module,
                      another_form(*b, Binding::Copied, "_copy", "Return a copy of the result of ", kFunction | kOut)));
  if (b->flags & kBecome)
    Py_DECREF(publish(module, another_form(*b, Binding::Become, "_", "In-place form of ", kMethod)));
  PyType_Modified(tensor_type);
  return callable.release();
}

void publish(PyObject* module) {
  const std::vector<Binding*> all = bindings();
  for (Binding* b : all) {
    Py_DECREF(publish(module, b));
    for (const std::string& alias : b->aliases) {
      Binding* also = new Binding(*b);
      also->name = alias;
      also->aliases.clear();
      also->signature.replace(0, b->name.size(), alias);
      add_to_registry(also);
      Py_DECREF(publish(module, also));
    }
  }
}

}  // namespace flambeau::python
