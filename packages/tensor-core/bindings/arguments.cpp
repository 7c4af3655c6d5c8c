// Parsing of signatures and of calls. Note [Binding]
#include "arguments.h"

#include <structmember.h>

#include "intercept.h"
#include "watch.h"

namespace flambeau::python {

PyTypeObject* operator_type = nullptr;

namespace {

std::vector<Binding*>& registry() {
  static std::vector<Binding*> all;
  return all;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

PyObject* literal(std::string_view text);

PyObject* tuple_literal(std::string_view items) {
  const Object list(checked(PyList_New(0)));
  while (!trimmed(items).empty()) {
    const size_t comma = std::min(items.find(','), items.size());
    const Object item(checked(literal(trimmed(items.substr(0, comma)))));
    if (PyList_Append(list.get(), item.get()) < 0) throw PythonError();
    items.remove_prefix(std::min(comma + 1, items.size()));
  }
  return PyList_AsTuple(list.get());
}

PyObject* literal(std::string_view text) {
  if (text == "None") return Py_NewRef(Py_None);
  if (text == "True") return Py_NewRef(Py_True);
  if (text == "False") return Py_NewRef(Py_False);
  if (text.front() == '(') return tuple_literal(text.substr(1, text.size() - 2));
  if (text.front() == '\'') return PyUnicode_FromStringAndSize(text.data() + 1, Py_ssize_t(text.size()) - 2);
  const std::string copy(text);
  if (text.find_first_of(".e") != text.npos) return PyFloat_FromDouble(std::stod(copy));
  return PyLong_FromString(copy.c_str(), nullptr, 10);
}

// Spellings programs also use for a parameter.
bool also_named(std::string_view parameter, std::string_view given) {
  return (parameter == "input" && (given == "self" || given == "x")) || (parameter == "dim" && given == "axis") ||
         (parameter == "keepdim" && given == "keepdims") || (parameter == "tensors" && given == "arrays") ||
         (parameter == "from_" && given == "from");
}

PointwiseOp row_named(std::string_view name) {
  for (int i = 0; i < kPointwiseCount; ++i)
    if (name == pointwise_rows[i].name) return PointwiseOp(i);
  detail::raise<Error>("no row is called ", name);
}

}  // namespace

std::vector<Parameter> parse_signature(std::string_view text, std::string& name) {
  const size_t open = text.find('(');
  name = std::string(text.substr(0, open));
  text = text.substr(open + 1, text.rfind(')') - open - 1);
  std::vector<Parameter> out;
  bool keyword_only = false;
  while (!text.empty()) {
    size_t comma = 0;
    for (int depth = 0; comma < text.size() && (text[comma] != ',' || depth > 0); ++comma)
      depth += (text[comma] == '(') - (text[comma] == ')');
    std::string_view part = trimmed(text.substr(0, comma));
    text = comma < text.size() ? text.substr(comma + 1) : "";
    if (part == "*") {
      keyword_only = true;
      continue;
    }
    Parameter p;
    p.keyword_only = keyword_only;
    if (part.front() == '*') {
      p.variadic = true;
      keyword_only = true;
      part.remove_prefix(1);
    }
    const size_t equals = part.find('=');
    std::string_view parameter = trimmed(part.substr(0, equals));
    if (const size_t colon = parameter.find(':'); colon != parameter.npos) {
      p.annotation = trimmed(parameter.substr(colon + 1));
      parameter = trimmed(parameter.substr(0, colon));
    }
    p.name = PyUnicode_FromStringAndSize(parameter.data(), Py_ssize_t(parameter.size()));
    PyUnicode_InternInPlace(&p.name);
    if (equals != part.npos) p.fallback = literal(trimmed(part.substr(equals + 1)));
    out.push_back(p);
  }
  return out;
}

Binding* register_binding(std::string_view signature, int flags, const char* doc) {
  Binding* binding = new Binding;  // lives as long as the process
  const std::string_view names = signature.substr(0, signature.find('('));
  const size_t end = names.find('|');
  for (size_t bar = end; bar != names.npos;) {
    const size_t next = names.find('|', bar + 1);
    binding->aliases.emplace_back(names.substr(bar + 1, next - bar - 1));
    bar = next;
  }
  binding->signature = std::string(names.substr(0, end)) + std::string(signature.substr(names.size()));
  signature = binding->signature;
  binding->doc = doc;
  binding->flags = flags;
  binding->parameters = parse_signature(signature, binding->name);
  if (flags & kRow) binding->op = row_named(binding->name);
  registry().push_back(binding);
  return binding;
}

const std::vector<Binding*>& bindings() { return registry(); }

void wrong_argument(const Call& call, const char* expected, PyObject* got) {
  detail::raise<TypeError>(call.function, "(): argument '", PyUnicode_AsUTF8(call.parameter->name), "' (position ",
                           call.position + 1, ") must be ", expected, ", not ", Py_TYPE(got)->tp_name);
}

namespace {

size_t find_parameter(const Binding& b, PyObject* name) {
  for (size_t i = 0; i < b.parameters.size(); ++i)
    if (b.parameters[i].name == name) return i;
  const std::string_view given = text_of(name);
  for (size_t i = 0; i < b.parameters.size(); ++i) {
    const std::string_view own = text_of(b.parameters[i].name);
    if (own == given || also_named(own, given)) return i;
  }
  return b.parameters.size();
}

// x.add_(2, y), the order of PyTorch's first years: the number that is named today came before the other tensors.
bool in_old_order(const Binding& b, PyObject* const* args, size_t count, size_t positional, Arguments& values) {
  if (count != positional + 1 || positional < 2 || positional == b.parameters.size()) return false;
  const std::string_view name = text_of(b.parameters[positional].name);
  if ((name != "alpha" && name != "value") || is_tensor(args[1]) || !is_tensor(args[2])) return false;
  const std::string text = b.name + "(): a number before the other tensors is deprecated; give it behind them, as " +
                           std::string(name) + "=; the signature is " + b.signature;
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) throw PythonError();
  std::copy(args + 2, args + count, values.at + 1);
  values.at[positional] = args[1];
  return true;
}

}  // namespace

void collect(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, Arguments& values) {
  const size_t n = b.parameters.size();
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    if (next < n && b.parameters[next].variadic) {  // one sequence, or all the integers that are left
      if (count - i == 1 && !PyLong_Check(args[i])) {
        values.at[next++] = args[i];
        continue;
      }
      values.packed = Object(checked(PyTuple_New(Py_ssize_t(count - i))));
      for (size_t j = i; j < count; ++j) PyTuple_SET_ITEM(values.packed.get(), Py_ssize_t(j - i), Py_NewRef(args[j]));
      values.at[next++] = values.packed.get();
      break;
    }
    if (FLAMBEAU_UNLIKELY(next == n || b.parameters[next].keyword_only)) {
      require<TypeError>(in_old_order(b, args, count, next, values), b.name, "() takes ", next,
                         " positional arguments at most but ", count, " were given; its signature is ", b.signature);
      break;
    }
    values.at[next++] = args[i];
  }
  const size_t keywords = kwnames ? size_t(PyTuple_GET_SIZE(kwnames)) : 0;
  for (size_t i = 0; i < keywords; ++i) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, Py_ssize_t(i));
    PyObject* value = args[count + i];
    const size_t at = find_parameter(b, name);
    if (at == n) {
      const std::string_view text = text_of(name);
      if (text == "out" && (b.flags & kOut)) {
        values.out = value == Py_None ? nullptr : value;
        continue;
      }
      require<TypeError>(false, b.name, "() got an unexpected keyword argument '", text, "'; its signature is ",
                         b.signature);
    }
    if (values.at[at])
      detail::raise<TypeError>(b.name, "() got multiple values for argument '", PyUnicode_AsUTF8(name), "'");
    values.at[at] = value;
  }
  for (size_t i = 0; i < n; ++i) {
    if (values.at[i]) continue;
    if (b.parameters[i].variadic && !b.parameters[i].fallback && !(b.flags & kFactory))
      values.packed = Object(checked(PyTuple_New(0))), values.at[i] = values.packed.get();
    else
      values.at[i] = b.parameters[i].fallback;
    if (!values.at[i])
      detail::raise<TypeError>(b.name, "() missing 1 required positional arguments: \"",
                               PyUnicode_AsUTF8(b.parameters[i].name), "\"; its signature is ", b.signature);
  }
}

namespace {

// An operator written in Python can return anything.
void require_tensor(const Binding& b, PyObject* result) {
  require<TypeError>(is_tensor(result), b.name, "(): the result is no Tensor to be written to another, but ",
                     Py_TYPE(result)->tp_name);
}

// Whether a result can be stored in out=; nothing is written before all of it can.
void check_out(const Binding& b, PyObject* result, PyObject* out) {
  if (PyTuple_Check(result)) {
    const bool fits =
        (PyTuple_Check(out) || PyList_Check(out)) && PySequence_Fast_GET_SIZE(out) == PyTuple_GET_SIZE(result);
    require<TypeError>(fits, b.name, "(): out must be a tuple of ", PyTuple_GET_SIZE(result), " Tensors");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
      check_out(b, PyTuple_GET_ITEM(result, i), PySequence_Fast_GET_ITEM(out, i));
    return;
  }
  require<TypeError>(is_tensor(out), b.name, "(): argument 'out' must be Tensor, not ", Py_TYPE(out)->tp_name);
  require_tensor(b, result);
  const Tensor &from = tensor_of(result), &to = tensor_of(out);
  require(!recording(from, to), b.name,
          "(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
          "requires grad.");
  require(can_cast(from.dtype(), to.dtype()), b.name, "(): result type ", from.dtype(),
          " can't be cast to the desired output type ", to.dtype());
  require(!(b.flags & kExactOut) || from.dtype() == to.dtype(), b.name, "(): Expected out tensor to have dtype ",
          from.dtype(), ", but got ", to.dtype(), " instead");
}

void store_out(const Binding& b, PyObject* result, PyObject* out) {
  if (PyTuple_Check(result)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
      store_out(b, PyTuple_GET_ITEM(result, i), PySequence_Fast_GET_ITEM(out, i));
    return;
  }
  const Tensor &from = tensor_of(result), &to = tensor_of(out);
  begin_inplace(to, b.name.c_str());
  if (!(to.shape() == from.shape())) resize(to, from.shape());
  copy_values(to, from);
}

bool run_row_in_place(const Binding& b, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  Operand operands[kMaxOperands] = {0, 0, 0};
  if (kwnames || count != row_of(b.op).arity || !is_tensor(args[0])) return false;
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!to_operand(args[i], operands[i])) {
      PyErr_Clear();
      return false;  // the general way says what is wrong
    }
  pointwise_(b.op, operands);
  return true;
}

// A constructor writes out= in the dtype that it has.
void adopt_dtype(const Binding& b, Arguments& values) {
  static PyObject* const name = PyUnicode_InternFromString("dtype");
  if (!is_tensor(values.out)) return;  // refused when the result is stored
  PyObject* const own = dtype_object(tensor_of(values.out).dtype());
  for (size_t i = 0; i < b.parameters.size(); ++i) {
    if (b.parameters[i].name != name) continue;
    if (values.at[i] == Py_None) values.at[i] = own;
    const Dtype wanted = From<Dtype>::get({b.name.c_str(), &b.parameters[i], int(i)}, values.at[i]);
    require(wanted == tensor_of(values.out).dtype(), b.name, "(): dtype ", wanted,
            " does not match dtype of out parameter (", tensor_of(values.out).dtype(), ")");
  }
}

// An in-place composite whose result is recorded computes it from a copy of the tensor, history included: what its
// derivatives save is not overwritten.
PyObject* keep_original(const Binding& b, Arguments& values) {
  if (!recording_enabled()) return nullptr;
  bool recorded = false;
  for (size_t i = 0; i < b.parameters.size(); ++i)
    recorded |= is_tensor(values.at[i]) && tensor_of(values.at[i]).tracked();
  if (!recorded) return nullptr;
  PyObject *self = values.at[0], *copy = checked(wrap_tensor(clone(tensor_of(self))));
  for (size_t i = 0; i < b.parameters.size(); ++i)
    if (values.at[i] == self) values.at[i] = copy;
  return copy;
}

// The usual call: arguments by position alone, each the value of a parameter.
PyObject* invoke_plainly(const Binding& b, PyObject* const* args, size_t count) {
  const size_t n = b.parameters.size();
  if (count == n) return b.invoke(b, args);
  PyObject* values[Arguments::kMax];
  for (size_t i = 0; i < count; ++i) values[i] = args[i];
  for (size_t i = count; i < n; ++i) values[i] = b.parameters[i].fallback;
  return b.invoke(b, values);
}

PyObject* copied(PyObject* result) {
  if (is_tensor(result)) return checked(wrap_tensor(clone(tensor_of(result))));
  Object out(checked(PyTuple_New(PyTuple_GET_SIZE(result))));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
    PyTuple_SET_ITEM(out.get(), i, copied(PyTuple_GET_ITEM(result, i)));
  return out.release();
}

}  // namespace

PyObject* call_binding(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  const size_t count = size_t(PyVectorcall_NARGS(nargsf));
  return watched(b.name.c_str(), [&]() -> PyObject* {
    Caller caller;
    if (caller.asks(self, args, count, kwnames)) return caller.answer;
    if (b.form == Binding::Own && !kwnames && count >= b.least && count <= b.most)
      return invoke_plainly(b, args, count);
    if (b.form == Binding::InPlace && (b.flags & kRow) && run_row_in_place(b, args, Py_ssize_t(count), kwnames))
      return Py_NewRef(args[0]);
    Arguments values;
    collect(b, args, count, kwnames, values);
    if (FLAMBEAU_LIKELY(b.form != Binding::InPlace)) {
      if (values.out && (b.flags & kFactory)) adopt_dtype(b, values);
      Object result(checked(b.invoke(b, values.at)));
      if (b.form == Binding::Become) {
        require_tensor(b, values.at[0]);
        require_tensor(b, result.get());
        become(tensor_of(values.at[0]), tensor_of(result.get()));
        return Py_NewRef(values.at[0]);
      }
      if (b.form == Binding::Copied) result = Object(copied(result.get()));
      if (!values.out) return result.release();
      check_out(b, result.get(), values.out);
      store_out(b, result.get(), values.out);
      return Py_NewRef(values.out);
    }
    PyObject* self = values.at[0];
    if (!is_tensor(values.at[0])) wrong_argument({b.name.c_str(), &b.parameters[0], 0}, "Tensor", values.at[0]);
    const Object original(keep_original(b, values));  // for the derivative
    const Object result(checked(b.invoke(b, values.at)));
    require_tensor(b, result.get());
    const Tensor &to = tensor_of(self), &from = tensor_of(result.get());
    require(from.shape() == to.shape(), "output with shape ", to.shape(), " doesn't match the broadcast shape ",
            from.shape());
    require(can_cast(from.dtype(), to.dtype()), "result type ", from.dtype(),
            " can't be cast to the desired output type ", to.dtype());
    begin_inplace(to, b.name.c_str(), from.requires_grad());
    copy_values(to, from);
    adopt_history(to, from);
    return Py_NewRef(self);
  });
}

namespace {

PyObject* operator_repr(PyObject* self) {
  return PyUnicode_FromFormat("<flambeau operator %s>", reinterpret_cast<OperatorObject*>(self)->binding->name.c_str());
}
// The bound form, where the attribute is not called at once.
PyObject* operator_bind(PyObject* self, PyObject* object, PyObject*) {
  return object ? PyMethod_New(self, object) : Py_NewRef(self);
}
PyObject* operator_name(PyObject* self, void*) {
  return PyUnicode_FromString(reinterpret_cast<OperatorObject*>(self)->binding->name.c_str());
}
PyObject* operator_module(PyObject* self, void*) {
  return PyUnicode_FromString(reinterpret_cast<OperatorObject*>(self)->binding->module.c_str());
}
PyObject* operator_doc(PyObject* self, void*) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  return PyUnicode_FromString((b.signature + "\n\n" + b.doc).c_str());
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
  PyErr_Format(PyExc_AttributeError, "%s is not written in Python", b.name.c_str());
  return nullptr;
}
PyObject* operator_reduce(PyObject* self, PyObject*) {
  return operator_name(self, nullptr);
}  // pickled by its global name

PyGetSetDef operator_attributes[] = {{"__name__", operator_name, nullptr, nullptr, nullptr},
                                     {"__qualname__", operator_name, nullptr, nullptr, nullptr},
                                     {"__module__", operator_module, nullptr, nullptr, nullptr},
                                     {"__doc__", operator_doc, nullptr, nullptr, nullptr},
                                     {"__text_signature__", operator_text_signature, nullptr, nullptr, nullptr},
                                     {"__signature__", operator_signature, nullptr, nullptr, nullptr},
                                     {"__wrapped__", operator_wrapped, nullptr, nullptr, nullptr},
                                     {"parameters", operator_parameters, nullptr,
                                      "The names of the parameters, in the order of the signature.", nullptr},
                                     {}};
PyMethodDef operator_methods[] = {{"__reduce__", operator_reduce, METH_NOARGS, nullptr}, {}};
PyMemberDef operator_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OperatorObject, vectorcall), READONLY, nullptr}, {}};
PyType_Slot operator_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_repr, reinterpret_cast<void*>(operator_repr)},
                                {Py_tp_descr_get, reinterpret_cast<void*>(operator_bind)},
                                {Py_tp_getset, operator_attributes},
                                {Py_tp_methods, operator_methods},
                                {Py_tp_members, operator_members},
                                {0, nullptr}};
// The interpreter specialises calls of methods only where their type is immutable.
PyType_Spec operator_spec = {"flambeau._core.Operator", sizeof(OperatorObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_HAVE_VECTORCALL |
                                 Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                             operator_slots};

}  // namespace

PyObject* make_operator(const Binding* binding, vectorcallfunc call) {
  if (!operator_type) operator_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&operator_spec)));
  OperatorObject* o = PyObject_New(OperatorObject, operator_type);
  checked(reinterpret_cast<PyObject*>(o));
  o->vectorcall = call;
  o->binding = binding;
  return reinterpret_cast<PyObject*>(o);
}

void add_public(PyObject* module, const char* name, PyObject* value) {
  PyModule_AddObjectRef(module, name, value);
  const Object names(PyObject_GetAttrString(module, "__all__")), text(PyUnicode_FromString(name));
  if (!names || !text || PyList_Append(names.get(), text.get()) < 0) throw PythonError();
}

namespace {

void count_plain_arguments(Binding& b) {
  const std::vector<Parameter>& all = b.parameters;
  const auto by_name = std::find_if(all.begin(), all.end(), [](auto& p) { return p.variadic || p.keyword_only; });
  const auto required = std::find_if(all.rbegin(), all.rend(), [](auto& p) { return !p.fallback; });
  b.least = uint8_t(all.rend() - required);
  b.most = uint8_t(by_name - all.begin());
}

Binding* another_form(const Binding& b, Binding::Form form, const char* suffix, const char* doc, int flags) {
  Binding* other = new Binding(b);
  other->form = form;
  other->name += suffix;
  other->signature.insert(other->signature.find('('), suffix);
  other->doc = doc + b.name + ".";
  other->flags = flags;
  if (form != Binding::InPlace) registry().push_back(other);  // in-place forms follow from the flag
  return other;
}

}  // namespace

PyObject* publish(PyObject* module, Binding* b) {
  count_plain_arguments(*b);
  PyObject* methods = tensor_type->tp_dict;
  Object callable(make_operator(b, call_binding));
  if (b->flags & kFunction) add_public(module, b->name.c_str(), callable.get());
  if (b->flags & kPrivate)
    PyModule_AddObjectRef(module, (b->attribute.empty() ? b->name : b->attribute).c_str(), callable.get());
  if (b->flags & kMethod) PyDict_SetItemString(methods, b->name.c_str(), callable.get());
  if (b->flags & kInPlace) {
    Py_DECREF(publish(module, another_form(*b, Binding::InPlace, "_", "In-place form of ",
                                           kMethod | (b->flags & (kRow | kFunction)))));
  }
  if (b->flags & kCopy)
    Py_DECREF(publish(module, another_form(*b, Binding::Copied, "_copy", "Copies of ", kFunction | kOut)));
  if (b->flags & kBecome)
    Py_DECREF(publish(module, another_form(*b, Binding::Become, "_", "In-place form of ", kMethod)));
  PyType_Modified(tensor_type);
  return callable.release();
}

void publish(PyObject* module) {
  const std::vector<Binding*> all = registry();
  for (Binding* b : all) {
    Py_DECREF(publish(module, b));
    for (const std::string& alias : b->aliases) {
      Binding* also = new Binding(*b);
      also->name = alias;
      also->aliases.clear();
      also->signature.replace(0, b->name.size(), alias);
      registry().push_back(also);
      Py_DECREF(publish(module, also));
    }
  }
}

}  // namespace flambeau::python
