// Python callables of the pointwise operators: functions, in-place forms and out=. Each callable is created from a row
// of the operator table.
#include "calls/arguments.h"
#include "calls/bind.h"
#include "calls/call_arguments.h"
#include "calls/intercept.h"
#include "calls/overrides.h"
#include "calls/watch.h"

namespace flambeau::python {

namespace {

PyObject* run(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, bool in_place) {
  const PointwiseRow& row = row_of(b.op);
  const int arity = row.arity;
  Operand operands[kMaxOperands] = {0, 0, 0};
  Arguments arguments;
  PyObject* const* values = args;
  if (kwnames || count != size_t(arity)) {
    collect(b, args, count, kwnames, arguments);
    values = arguments.at;
  }
  for (int i = 0; i < arity; ++i) {
    const bool tensor_only = b.tensors >> i & 1;
    if (!to_operand(values[i], operands[i]) || (tensor_only && !operands[i].tensor)) {
      if (PyErr_Occurred()) return nullptr;
      wrong_argument({b.name.c_str(), &b.parameters[size_t(i)], i}, tensor_only ? "Tensor" : "Tensor or Number",
                     values[i]);
    }
    if (row.has_parameters && !row.expression[i] && operands[i].tensor && operands[i].tensor->requires_grad())
      wrong_argument({b.name.c_str(), &b.parameters[size_t(i)], i}, "Number", values[i]);
  }
  const bool takes_numbers = b.op == op::mul || b.op == op::div || b.op == op::floor_divide;
  require<TypeError>(operands[0].tensor || operands[1].tensor || (takes_numbers && !in_place), b.name,
                     "(): argument 'input' (position 1) must be Tensor, not ", Py_TYPE(values[0])->tp_name);
  if (in_place) {
    pointwise_(b.op, operands);
    return Py_NewRef(values[0]);
  }
  if (!arguments.out) return wrap_tensor(pointwise(b.op, operands));
  require<TypeError>(is_tensor(arguments.out), b.name, "(): argument 'out' must be Tensor, not ",
                     Py_TYPE(arguments.out)->tp_name);
  pointwise_into(b.op, operands, Tensor(tensor_of(arguments.out)));
  return Py_NewRef(arguments.out);
}

const Binding& binding_of(PyObject* self) { return *reinterpret_cast<OperatorObject*>(self)->binding; }

template <bool in_place>
PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  const size_t count = size_t(PyVectorcall_NARGS(nargsf));
  PyObject* const result = watched(binding_of(self).name.c_str(), [&] {
    Caller caller;
    if (caller.intercepts(self, args, count, kwnames)) return caller.result;
    return run(binding_of(self), args, count, kwnames, in_place);
  });
  if (FLAMBEAU_LIKELY(result) || !register_override_classes(args, count + named_count(kwnames))) return result;
  return call<in_place>(self, args, nargsf, kwnames);
}

std::string units(double v) {
  std::string text = std::to_string(v);
  text.erase(text.find_last_not_of('0') + 1);
  return text.back() == '.' ? text + '0' : text;
}

std::string accuracy_of(const PointwiseRow& row) {
  const Accuracy& a = row.accuracy;
  if (a.float32 == 0 && a.float64 == 0) return "The result is exact.";
  std::string text = "Error: at most " + units(a.float32) + " ULP";
  if (a.float64 != a.float32) text += " in float32, " + units(a.float64) + " in float64";
  if (*a.scale) text += std::string(", of the result or of ") + a.scale + ", whichever is larger";
  return text + '.';
}

// Returns the line of the docstring about operand i, such as "    other: tensor or number, ``y`` above.\n".
std::string argument_doc(const Binding& b, const PointwiseRow& row, int i) {
  const bool number = row.has_parameters && i > 0;
  const char* const kind = number ? "number" : b.tensors >> i & 1 ? "tensor" : "tensor or number";
  return std::string("    ") + PyUnicode_AsUTF8(b.parameters[size_t(i)].name) + ": " + kind + ", ``" + "xyz"[i] +
         "`` above.\n";
}

std::string result_doc(const PointwiseRow& row) {
  const bool truth = row.domain == Domain::Comparison || row.domain == Domain::Logical;
  const bool one = row.arity == 1 || row.has_parameters;
  return std::string("a ") + (truth ? "bool tensor" : "tensor") +
         (one ? " with the shape of ``input``." : " with the broadcast shape of the operands.");
}

// Returns false if all results are integers or booleans.
bool has_floating_results(const PointwiseRow& row) {
  return row.domain != Domain::Comparison && row.domain != Domain::Logical && row.domain != Domain::Integral &&
         row.domain != Domain::Whole;
}

// Describes which operands have a derivative.
std::string gradient_doc(const Binding& b, const PointwiseRow& row) {
  if (!has_floating_results(row)) return "Not differentiable.";
  std::string without;
  for (int i = 0; i < (row.has_parameters ? 1 : row.arity); ++i)
    if (!row.expression[i])
      without +=
          std::string(without.empty() ? "" : ", ") + "``" + PyUnicode_AsUTF8(b.parameters[size_t(i)].name) + "``";
  if (without.empty()) return "Gradient: every floating or complex operand, any order.";
  return row.differentiable
             ? "Gradient: any order, except for " + without + ", for which a backward pass raises NotImplementedError."
             : "Not differentiable: a backward pass raises NotImplementedError.";
}

std::string doc_of(const Binding& b, const PointwiseRow& row) {
  std::string doc = row.doc;
  doc += "\n\nArgs:\n";
  for (int i = 0; i < row.arity; ++i) doc += argument_doc(b, row, i);
  doc += "Returns: " + result_doc(row) + "\n\n";
  if (row.domain == Domain::Floating) doc += "Integers and booleans are computed in the default floating dtype. ";
  doc += takes_complex(row.op) ? "Supports real and complex numbers. " : "Supports real numbers. ";
  doc += gradient_doc(b, row);
  if (has_floating_results(row)) doc += "\n\n" + accuracy_of(row);
  return doc;
}

// Returns a bit mask of the operands that must be tensors. These are the operands that the signature annotates as
// Tensor, and the first operand if the signature does not annotate it or if the form is in-place.
uint8_t tensors_of(const Binding& b, int arity, bool in_place) {
  uint8_t mask = 0;
  for (int i = 0; i < arity; ++i) {
    const std::string& type = b.parameters[size_t(i)].annotation;
    if (type == "Tensor" || (i == 0 && (type.empty() || in_place))) mask |= uint8_t(1 << i);
  }
  return mask;
}

Binding* make(const PointwiseRow& row, const std::string& name, bool in_place) {
  Binding* b = new Binding;  // lives as long as the process
  b->signature = name + (in_place ? "_(" : "(") + row.signature + ")";
  b->parameters = parse_signature(b->signature, b->name);
  b->flags = in_place ? 0 : kOut;
  b->op = row.op;
  b->tensors = tensors_of(*b, row.arity, in_place);
  b->doc = in_place ? "In-place form of " + name + "." : doc_of(*b, row);
  return b;
}

// Publishes the pointwise operator special_<name> only as flambeau.special.<name>. Returns false for other names. See
// special.py.
bool publish_special(PyObject* module, const PointwiseRow& row, std::string_view name) {
  constexpr std::string_view prefix = "special_";
  if (!name.starts_with(prefix)) return false;
  Binding* b = make(row, std::string(name.substr(prefix.size())), false);
  b->module = "flambeau.special";
  PyModule_AddObjectRef(module, name.data(), Object(make_operator(b, call<false>)).get());
  return true;
}

void publish_row(PyObject* module, const PointwiseRow& row, const std::string& name) {
  if (publish_special(module, row, name)) return;
  for (const bool in_place : {false, true}) {
    const Binding* const b = make(row, name, in_place);
    const vectorcallfunc function = in_place ? call<true> : call<false>;
    const std::string published = in_place ? name + '_' : name;
    add_public(module, published.c_str(), Object(make_operator(b, function)).get());
    add_method(published, b, function);
  }
}

}  // namespace

void publish_rows(PyObject* module) {
  const Object plain(checked(PyDict_New()));  // a callable for every row of the operator table, for tests
  PyModule_AddObjectRef(module, "_rows", plain.get());
  for (const PointwiseRow& row : pointwise_rows()) {
    PyDict_SetItemString(plain.get(), row.name, Object(make_operator(make(row, row.name, false), call<false>)).get());
    // An operator of the same name that calls the pointwise operator (add with alpha, celu with argument checks) takes
    // precedence.
    if (row.name[0] != '_' && !PyObject_HasAttrString(module, row.name)) publish_row(module, row, row.name);
    for (const PointwiseAlias& alias : pointwise_aliases())
      if (std::string_view(alias.name) == row.name) publish_row(module, row, alias.alias);
  }
  PyType_Modified(tensor_type);
}

PyObject* describe_rows() {  // for the test tables and the docs
  Object list(checked(PyList_New(0)));
  constexpr const char* domains[] = {"Floating", "Real",       "Number",  "Any",   "Integral",
                                     "Whole",    "Comparison", "Logical", "Select"};
  for (const PointwiseRow& row : pointwise_rows()) {
    Object derivatives(checked(PyList_New(0)));
    for (int i = 0; i < row.arity; ++i) {
      const Object text(checked(PyUnicode_FromString(row.derivatives[i])));
      PyList_Append(derivatives.get(), text.get());
    }
    Object aliases(checked(PyList_New(0)));
    for (const PointwiseAlias& alias : pointwise_aliases())
      if (std::string_view(alias.name) == row.name)
        PyList_Append(aliases.get(), Object(checked(PyUnicode_FromString(alias.alias))).get());
    const Object entry(checked(Py_BuildValue(
        "{s:s,s:s,s:i,s:s,s:s,s:s,s:O,s:O,s:(dds),s:s,s:O,s:O,s:O}", "name", row.name, "domain",
        domains[int(row.domain)], "arity", int(row.arity), "doc", row.doc, "reference", row.reference, "value",
        row.value, "derivatives", derivatives.get(), "differentiable", row.differentiable ? Py_True : Py_False,
        "accuracy", row.accuracy.float32, row.accuracy.float64, row.accuracy.scale, "signature", row.signature,
        "has_parameters", row.has_parameters ? Py_True : Py_False, "aliases", aliases.get(), "complex",
        takes_complex(row.op) ? Py_True : Py_False)));
    PyList_Append(list.get(), entry.get());
  }
  return list.release();
}

}  // namespace flambeau::python
