#include "calls/arguments.h"

#include "calls/call_arguments.h"
#include "calls/conversions.h"
#include "calls/warning.h"
#include "tensor/library_name.h"

namespace flambeau::python {

namespace {

// Raises NotImplementedError if the class of the argument has the attribute _unsupported, a str with the reason. An
// example is float8_e4m3fn, a dtype that tensors cannot have.
void reject_unsupported(const Call& call, PyObject* got) {
  const Object reason(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(got)), "_unsupported"));
  if (!reason) PyErr_Clear();
  if (!reason || !PyUnicode_Check(reason.get())) return;
  const Object shown(checked(PyObject_Repr(got)));
  detail::raise<NotImplementedError>(call.function, "(): ", text_of(shown.get()), " ", text_of(reason.get()));
}

// Returns true if the function takes a sequence of tensors, whose elements programs often pass as separate arguments by
// mistake.
bool concatenates(const Call& call) {
  const std::string_view function = call.function;
  return function == "cat" || function == "concat" || function == "concatenate" || function == "stack";
}

bool holds_tensors(PyObject* o) {
  if (!PyList_Check(o) && !PyTuple_Check(o)) return false;
  const Object items = stable_items(o);
  return PySequence_Fast_GET_SIZE(items.get()) && is_tensor(PySequence_Fast_GET_ITEM(items.get(), 0));
}

// Returns a hint for an error message, such as how to convert the argument, or an empty string.
std::string advice(const Call& call, std::string_view expected, PyObject* got) {
  if (expected.starts_with("flambeau.dtype")) {
    std::string_view given;
    Object shown;
    if (std::string_view(Py_TYPE(got)->tp_name).starts_with("numpy.dtype")) {
      shown = Object(checked(PyObject_Str(got)));
      given = text_of(shown.get());
    }
    if (PyUnicode_Check(got)) given = text_of(got);
    if (PyType_Check(got)) given = reinterpret_cast<PyTypeObject*>(got)->tp_name;
    given.remove_prefix(given.rfind('.') + 1);  // if there is no dot, rfind() returns npos, and npos + 1 is 0
    for (int i = 0; i < kDtypeCount; ++i)
      if (given == flambeau::name(Dtype(i))) return std::string("; write ") + library_name() + "." + std::string(given);
  }
  if (expected == "tuple of Tensors" && is_tensor(got)) return "; pass the tensors as one list: [a, b]";
  if (expected == "int" && is_tensor(got) && concatenates(call)) return "; pass the tensors as one list: [a, b]";
  if ((expected == "Number" || expected == "float") && is_tensor(got) && tensor_of(got).requires_grad())
    return " that requires grad, since no gradient would reach it; .item() converts it";
  if (expected.substr(0, 6) != "Tensor") return "";
  const std::string library = std::string("; ") + library_name();
  if (holds_tensors(got))
    return PyList_Check(got) ? library + ".stack() joins several tensors into one"
                             : "; unpack it first, as in output, state = layer(input)";
  if (std::string_view(Py_TYPE(got)->tp_name) == "numpy.ndarray") return library + ".from_numpy() converts it";
  const bool numbers = PyList_Check(got) || PyTuple_Check(got) || PyFloat_Check(got) || PyLong_Check(got);
  return numbers ? library + ".tensor() converts it" : "";
}

}  // namespace

namespace {

// Returns the name of an object's type for an error message. As in PyTorch, the library's own types have no module
// name.
std::string_view type_of(PyObject* o) {
  const std::string_view full = Py_TYPE(o)->tp_name;
  return full.starts_with("flambeau.") ? full.substr(full.rfind('.') + 1) : full;
}

}  // namespace

void wrong_argument(const Call& call, const char* expected, PyObject* got) {
  reject_unsupported(call, got);
  detail::raise<TypeError>(call.function, "(): argument '", PyUnicode_AsUTF8(call.parameter->name), "' (position ",
                           call.position + 1, ") must be ", under_library_name(expected), ", not ", type_of(got),
                           advice(call, expected, got));
}

void wrong_element(const Call& call, const char* expected, Py_ssize_t position, PyObject* got) {
  detail::raise<TypeError>(call.function, "(): argument '", PyUnicode_AsUTF8(call.parameter->name), "' (position ",
                           call.position + 1, ") must be ", under_library_name(expected), ", but its element ",
                           position, " is ", type_of(got));
}

namespace {

// Returns true if other libraries call the parameter `given`, such as "axis" in NumPy for "dim".
bool is_alias_of(std::string_view parameter, std::string_view given) {
  return (parameter == "input" && (given == "self" || given == "x" || given == "a" || given == "x1")) ||
         (parameter == "other" && given == "x2") || (parameter == "dim" && given == "axis") ||
         (parameter == "keepdim" && given == "keepdims") || (parameter == "tensors" && given == "arrays") ||
         (parameter == "from_" && given == "from");
}

// Returns true if the signature declares `given` as another name of the parameter, as in
// split(tensor, split_size_or_sections|split_size, dim=0).
bool is_alias_of(const Parameter& parameter, std::string_view given) {
  for (std::string_view names = parameter.also; !names.empty();) {
    const size_t end = std::min(names.find('|', 1), names.size());
    if (names.substr(1, end - 1) == given) return true;
    names.remove_prefix(end);
  }
  return false;
}

size_t find_parameter(const Binding& b, PyObject* name) {
  for (size_t i = 0; i < b.parameters.size(); ++i)
    if (b.parameters[i].name == name) return i;
  Py_ssize_t size;
  const char* const text = PyUnicode_AsUTF8AndSize(name, &size);
  if (!text) PyErr_Clear();  // the name contains lone surrogates, so no parameter has it
  if (!text) return b.parameters.size();
  const std::string_view given(text, size_t(size));
  for (size_t i = 0; i < b.parameters.size(); ++i) {
    const std::string_view own = text_of(b.parameters[i].name);
    if (own == given || is_alias_of(own, given) || is_alias_of(b.parameters[i], given)) return i;
  }
  return b.parameters.size();
}

// Reads the arguments of a call in the deprecated order, in which a number precedes the tensor that it multiplies:
// x.add_(2, y) or addmm(beta, x, alpha, y, z). Today these numbers are keyword-only. Returns false for other calls.
bool bind_deprecated_order(const Binding& b, PyObject* const* args, size_t count, size_t positional,
                           Arguments& values) {
  const size_t numbers = count - positional;
  if (positional < 2 || positional + numbers > b.parameters.size() || !is_tensor(args[count - 1])) return false;
  const std::string_view name = text_of(b.parameters[positional].name);
  if (numbers > (name == "beta" ? 2 : name == "alpha" || name == "value" ? 1 : 0)) return false;
  size_t tensor = 0, number = positional;
  for (size_t i = 0; i < count; ++i) {
    size_t& next = is_tensor(args[i]) ? tensor : number;
    if (next == (is_tensor(args[i]) ? positional : count)) return false;
    values.at[next++] = args[i];
  }
  std::string named;
  for (size_t i = positional; i < count; ++i)
    named += (i > positional ? " and " : "") + std::string(text_of(b.parameters[i].name)) + "=";
  warn("This overload of " + b.name + " is deprecated: pass the number after the tensors, as " + named +
       "; the signature is " + b.signature);
  return true;
}

// Returns true for an operator of a tensor and dimensions, squeeze or count_nonzero, whose methods take the dimensions
// as separate arguments in PyTorch: x.squeeze(0, 1).
bool takes_separate_dimensions(const Binding& b, PyObject* const* dims, size_t count) {
  constexpr uint8_t kOptionalDims = detail::kPosition<OptionalDims, ParameterTypes>;
  if (b.parameters.size() != 2 || !b.record || b.record->forward.kinds()[1] != kOptionalDims) return false;
  return std::all_of(dims, dims + count, [](PyObject* dim) { return PyLong_Check(dim); });
}

void take_positional(const Binding& b, PyObject* const* args, size_t count, Arguments& values) {
  const size_t n = b.parameters.size();
  for (size_t i = 0; i < count; ++i) {
    if (FLAMBEAU_UNLIKELY(i == n || b.parameters[i].keyword_only)) {
      if (takes_separate_dimensions(b, args + 1, count - 1)) {
        values.packed = tuple_of(args + 1, count - 1);
        values.at[1] = values.packed.get();
        return;
      }
      require<TypeError>(bind_deprecated_order(b, args, count, i, values), b.name, "() takes ", i,
                         " positional arguments at most but ", count, " were given; its signature is ", b.signature);
      return;
    }
    // A variadic parameter takes all remaining positional arguments, or a single sequence.
    if (b.parameters[i].variadic && (count - i > 1 || PyLong_Check(args[i]))) {
      values.packed = tuple_of(args + i, count - i);
      values.at[i] = values.packed.get();
      return;
    }
    values.at[i] = args[i];
  }
}

[[noreturn]] void unexpected_keyword(const Binding& b, PyObject* name) {
  PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'; its signature is %s", b.name.c_str(),
               name, b.signature.c_str());
  throw PythonError();
}

void take_named(const Binding& b, PyObject* const* given, PyObject* kwnames, Arguments& values) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); ++i) {
    PyObject *const name = PyTuple_GET_ITEM(kwnames, i), *const value = given[i];
    const size_t at = find_parameter(b, name);
    if (at == b.parameters.size()) {
      if (!(b.flags & kOut) || PyUnicode_CompareWithASCIIString(name, "out") != 0) unexpected_keyword(b, name);
      values.out = value == Py_None ? nullptr : value;
      continue;
    }
    if (values.at[at])
      detail::raise<TypeError>(b.name, "() got multiple values for argument '", PyUnicode_AsUTF8(name), "'");
    values.at[at] = value;
  }
}

// Returns true if a parameter is variadic and a call may have no arguments for it. This is allowed for tensors, but not
// for sizes and dimensions.
bool may_be_empty(const Binding& b, size_t i) {
  constexpr uint8_t kTensors = detail::kPosition<Tensors, ParameterTypes>;
  return b.parameters[i].variadic && (!b.record || b.record->forward.kinds()[i] == kTensors);
}

void take_default(const Binding& b, size_t i, Arguments& values) {
  const Parameter& p = b.parameters[i];
  if (!p.fallback && may_be_empty(b, i))
    values.packed = tuple_of(nullptr, 0), values.at[i] = values.packed.get();
  else
    values.at[i] = p.fallback;
  if (!values.at[i])
    detail::raise<TypeError>(b.name, "() missing 1 required positional arguments: \"", PyUnicode_AsUTF8(p.name),
                             "\"; its signature is ", b.signature);
}

}  // namespace

void collect(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, Arguments& values) {
  take_positional(b, args, count, values);
  if (kwnames) take_named(b, args + count, kwnames, values);
  for (size_t i = 0; i < b.parameters.size(); ++i)
    if (!values.at[i]) take_default(b, i, values);
}

}  // namespace flambeau::python
