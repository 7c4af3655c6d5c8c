// Operators written in Python: their registration, and the recording of their custom derivatives.
#include <mutex>
#include <unordered_set>

#include "calls/arguments.h"
#include "calls/bind.h"
#include "calls/python_recording.h"
#include "flambeau/autograd.h"

namespace flambeau::python {

namespace {

// The types that a parameter's annotation can allow.
enum Kind : uint8_t { kTensor = 1, kNone = 2, kBool = 4, kInt = 8, kFloat = 16, kStr = 32 };

using Named = std::pair<const char*, int>;
// Names from python/flambeau/_operator.py, with the flags or types that they mean.
constexpr Named kPublication[] = {
    {"function", kFunction}, {"method", kMethod}, {"in_place", kInPlace}, {"out", kOut}, {"exact_out", kExactOut}};
constexpr Named kPolicies[] = {
    {"", 0}, {"lower_precision", kLowerPrecision}, {"float32", kFloat32}, {"widest", kWidest}};
constexpr Named kKinds[] = {{"Tensor", kTensor}, {"bool", kBool}, {"int", kInt},      {"float", kFloat},
                            {"str", kStr},       {"None", kNone}, {"NoneType", kNone}};

bool is_of(int kinds, PyObject* o) {
  const bool number = kinds & (kInt | kFloat);
  if (is_tensor(o)) return (kinds & kTensor) || (number && tensor_of(o).dim() == 0);
  if (o == Py_None) return kinds & kNone;
  if (PyUnicode_Check(o)) return kinds & kStr;
  if (PyBool_Check(o)) return kinds & (kBool | kFloat);
  if (PyLong_Check(o)) return number;
  if (PyFloat_Check(o)) return kinds & kFloat;
  if (PyComplex_Check(o)) return number && (kinds & kInt) && (kinds & kFloat);  // any number is allowed
  if (PySequence_Check(o)) return false;
  const PyNumberMethods* methods = Py_TYPE(o)->tp_as_number;  // accept NumPy scalars and similar objects
  return ((kinds & kInt) && PyIndex_Check(o)) || ((kinds & kFloat) && methods && methods->nb_float) ||
         ((kinds & kBool) && std::string_view(Py_TYPE(o)->tp_name).find("bool") != std::string_view::npos);
}

void require_kind(const Binding& b, size_t i, PyObject* o) {
  const Parameter& p = b.parameters[i];
  if (is_of(p.kinds, o)) return;
  std::string expected;
  for (const auto& [name, kind] : kKinds)
    if (kind != kNone && (p.kinds & kind)) expected += (expected.empty() ? "" : " or ") + std::string(name);
  wrong_argument({b.name.c_str(), &p, int(i)}, expected.c_str(), o);
}

// Calls the function with a value for every parameter. Keyword-only parameters are passed by name.
PyObject* invoke_python(const Binding& b, PyObject* const* values) {
  SmallVector<PyObject*, 24> arguments;
  Object packed;  // owns the arguments of a variadic parameter
  size_t named = 0;
  for (size_t i = 0; i < b.parameters.size(); ++i) {
    const Parameter& p = b.parameters[i];
    if (p.variadic) {
      packed = Object(PySequence_Check(values[i]) && !PyUnicode_Check(values[i]) && !is_tensor(values[i])
                          ? checked(PySequence_Tuple(values[i]))
                          : checked(PyTuple_Pack(1, values[i])));
      for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(packed.get()); ++k) {
        arguments.push_back(PyTuple_GET_ITEM(packed.get(), k));
        if (p.kinds) require_kind(b, i, arguments.back());
      }
      continue;
    }
    if (p.kinds && values[i] != p.fallback) require_kind(b, i, values[i]);
    arguments.push_back(values[i]);
    named += p.keyword_only;
  }
  PyObject* const result = PyObject_Vectorcall(b.python, arguments.data(), arguments.size() - named, b.keywords);
  if (result && is_tensor(result) && tensor_of(result).impl()->base) release_temporary_base(*tensor_of(result).impl());
  return result;
}

Parameter parameter_of(PyObject* entry) {  // (name, default or Ellipsis, keyword_only, variadic, kinds)
  PyObject *name, *fallback;
  int keyword_only, variadic, kinds;
  if (!PyArg_ParseTuple(entry, "UOppi", &name, &fallback, &keyword_only, &variadic, &kinds)) throw PythonError();
  Parameter p;
  p.name = Py_NewRef(name);
  PyUnicode_InternInPlace(&p.name);
  p.fallback = fallback == Py_Ellipsis ? nullptr : Py_NewRef(fallback);
  p.keyword_only = keyword_only;
  p.variadic = variadic;
  p.kinds = uint8_t(kinds);
  return p;
}

// define(function, name, module, parameters, signature, doc, flags): creates and returns the callable.
PyObject* define(PyObject* function, std::string_view name, std::string_view module, PyObject* parameters,
                 std::string_view signature, std::string_view doc, int64_t flags) {
  const Object entries(checked(PySequence_Fast(parameters, "parameters must be a sequence")));
  require<ValueError>(size_t(PySequence_Fast_GET_SIZE(entries.get())) <= kMaxParameters, name,
                      ": an operator has at most ", size_t(kMaxParameters), " parameters");
  std::vector<Parameter> parsed;
  const Object keywords(checked(PyList_New(0)));
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(entries.get()); ++i) {
    parsed.push_back(parameter_of(PySequence_Fast_GET_ITEM(entries.get(), i)));
    if (parsed.back().keyword_only && PyList_Append(keywords.get(), parsed.back().name) < 0) throw PythonError();
  }
  Binding* b = register_binding("()", int(flags), "");
  b->name = name;
  b->module = module;
  b->parameters = std::move(parsed);
  b->signature = signature;
  b->doc = doc;
  b->python = Py_NewRef(function);
  b->invoke = invoke_python;
  if (PyList_GET_SIZE(keywords.get()) > 0) b->keywords = checked(PyList_AsTuple(keywords.get()));
  const Object core(checked(PyImport_ImportModule("flambeau._core")));
  return publish(core.get(), b);
}

// Returns a tuple of get(i) for i < n, with None for undefined tensors.
template <class Get>
PyObject* tuple_of(size_t n, Get get) {
  Object out(checked(PyTuple_New(Py_ssize_t(n))));
  for (size_t i = 0; i < n; ++i) {
    const Tensor t = get(i);
    PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), t.defined() ? checked(wrap_tensor(t)) : Py_NewRef(Py_None));
  }
  return out.release();
}

// A derivative that is a Python function: function([first,] gradients of the results, saved tensors, needs) returns the
// gradients of the inputs. All arguments except `first`, and the result, are tuples. needs[i] is True if input i needs
// a gradient.
struct PythonDerivative {
  Object function, first;  // first: an additional first argument, or null
  const char* name;
  std::vector<int> output_of;  // for each result: index of the node's output, or -1 if it cannot have a gradient
  size_t saved, inputs;

  void operator()(const Context& context) const {
    const Object gradients(tuple_of(
        output_of.size(), [&](size_t i) { return output_of[i] < 0 ? Tensor() : context.gradient(output_of[i]); }));
    const Object kept(tuple_of(saved, [&](size_t i) { return context.saved(int(i)); }));
    const Object needs(checked(PyTuple_New(Py_ssize_t(inputs))));
    for (size_t i = 0; i < inputs; ++i)
      PyTuple_SET_ITEM(needs.get(), Py_ssize_t(i), PyBool_FromLong(context.needs(int(i))));
    PyObject* const values[] = {first.get(), gradients.get(), kept.get(), needs.get()};
    const size_t skipped = first ? 0 : 1;
    const Object out(checked(PyObject_Vectorcall(function.get(), values + skipped, 4 - skipped, nullptr)));
    require(PyTuple_Check(out.get()) && size_t(PyTuple_GET_SIZE(out.get())) == inputs, "the derivative of ", name,
            " must return a tuple of ", inputs, " gradients");
    for (size_t i = 0; i < inputs; ++i) {
      PyObject* gradient = PyTuple_GET_ITEM(out.get(), Py_ssize_t(i));
      if (gradient == Py_None || !context.needs(int(i))) continue;
      require<TypeError>(is_tensor(gradient), "the derivative of ", name, " returned a ", Py_TYPE(gradient)->tp_name,
                         " for input ", i, ", expected a Tensor or None");
      context.set(int(i), tensor_of(gradient));
    }
  }
};

// Returns the tensors of a tuple, with undefined tensors for None.
std::vector<Tensor> tensors_of(PyObject* tuple, const char* what) {
  require<TypeError>(PyTuple_Check(tuple), what, " must be a tuple, not ", Py_TYPE(tuple)->tp_name);
  std::vector<Tensor> out;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    PyObject* item = PyTuple_GET_ITEM(tuple, i);
    require<TypeError>(item == Py_None || is_tensor(item), what, " must hold Tensors or None, not ",
                       Py_TYPE(item)->tp_name);
    out.push_back(item == Py_None ? Tensor() : tensor_of(item));
  }
  return out;
}

const char* permanent_copy(std::string_view name) {
  static std::mutex mutex;
  static std::unordered_set<std::string> names;
  const std::lock_guard lock(mutex);
  return names.emplace(name).first->c_str();
}

// Marks a view that was created without recording as recorded, because it is about to get a grad_fn.
void follow_base(const Tensor& view) {
  if (view.impl()->view_kind >= ViewKind::NoGrad) view.impl()->view_kind = ViewKind::Recorded;
}

std::vector<const Tensor*> addresses_of(const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> out;
  for (const Tensor& t : tensors) out.push_back(&t);
  return out;
}

PyObject* recorded(std::string_view name, PyObject* result, PyObject* inputs, PyObject* saved, PyObject* derivative,
                   std::string_view kind) {
  const Object results(is_tensor(result) ? checked(PyTuple_Pack(1, result)) : Py_NewRef(result));
  const std::vector<Tensor> given = tensors_of(inputs, "inputs"), made = tensors_of(results.get(), "results"),
                            kept = tensors_of(saved, "saved");
  const std::vector<const Tensor*> in = addresses_of(given), out = addresses_of(made), keep = addresses_of(kept);
  record_in_python({name, kind, out, in, keep, derivative});
  return Py_NewRef(result);
}

template <size_t n>
void add_numbers(PyObject* module, const char* attribute, const Named (&numbers)[n]) {
  const Object out(checked(PyDict_New()));
  for (const auto& [name, number] : numbers) {
    const Object value(checked(PyLong_FromLong(number)));
    if (PyDict_SetItemString(out.get(), name, value.get()) < 0) throw PythonError();
  }
  PyModule_AddObjectRef(module, attribute, out.get());
}

}  // namespace

void record_in_python(const PythonRecording& r) {
  bool needed = false;
  for (const Tensor* t : r.inputs) needed |= t->defined() && t->tracked();
  if (!needed || !recording_enabled()) return;
  std::vector<int> output_of;
  SmallVector<const Tensor*, 4> out;
  for (const Tensor* t : r.results) {
    const bool differentiable = t->defined() && is_inexact(t->dtype());
    output_of.push_back(differentiable ? int(out.size()) : -1);
    if (differentiable) out.push_back(t);
  }
  if (out.empty()) return;
  const char* const name = permanent_copy(r.name);
  Recording recording{name,
                      r.kind == "view"       ? Recording::kView
                      : r.kind == "in_place" ? Recording::kInPlace
                                             : Recording::kFresh,
                      out.data(),
                      int(out.size()),
                      r.inputs.data(),
                      int(r.inputs.size()),
                      r.saved.data(),
                      int(r.saved.size()),
                      PythonDerivative{Object(Py_NewRef(r.derivative)), Object(Py_XNewRef(r.first)), name,
                                       std::move(output_of), r.saved.size(), r.inputs.size()},
                      false};
  recording.in_python = true;
  if (recording.kind == Recording::kView)
    for (const Tensor* t : out) follow_base(*t);
  autograd_hooks->record(recording);
}

void bind_python_operators(PyObject* module) {
  add_numbers(module, "_operator_flags", kPublication);
  add_numbers(module, "_autocast_policies", kPolicies);
  add_numbers(module, "_parameter_kinds", kKinds);
  def("_define(function, name, module, parameters, signature, doc, flags)", kPrivate,
      "Register an operator that is written in Python.", define);
  def("_recorded(name, result, inputs, saved, derivative, kind='fresh')", kPrivate,
      "Record the results of a computation outside the library: new tensors, a view, or an input changed in place.",
      recorded);
  def("_begin_inplace(input, name)", kPrivate, "Raise RuntimeError if the tensor cannot be changed in place.",
      [](const Tensor& t, std::string_view name) { begin_inplace(t, permanent_copy(name), true); });
  def("_return_type(name, fields)", kPrivate, "Create a named tuple type for flambeau.return_types.", make_return_type);
}

}  // namespace flambeau::python
