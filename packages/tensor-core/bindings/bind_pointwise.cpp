// The rows as Python callables: name, name_ and out=, without a line for any of them.
#include "bind.h"

namespace flambeau::python {

namespace {

PyObject* run(const Binding& b, PyObject* const* args, size_t count, PyObject* kwnames, bool in_place) {
  const int arity = row_of(b.op).arity;
  Operand operands[kMaxOperands] = {0, 0, 0};
  Arguments arguments;
  PyObject* const* values = args;
  if (kwnames || count != size_t(arity)) {
    collect(b, args, count, kwnames, arguments);
    values = arguments.at;
  }
  for (int i = 0; i < arity; ++i)
    if (!to_operand(values[i], operands[i])) {
      if (PyErr_Occurred()) return nullptr;
      wrong_argument({b.name.c_str(), &b.parameters[size_t(i)], i}, i == 0 ? "Tensor" : "Tensor or Number", values[i]);
    }
  require<TypeError>(operands[0].tensor || (arity > 1 && operands[1].tensor && !in_place), b.name,
                     "(): argument 'input' (position 1) must be Tensor, not ", Py_TYPE(values[0])->tp_name);
  if (in_place) {
    pointwise_(b.op, operands);
    return Py_NewRef(values[0]);
  }
  if (!arguments.out) return wrap_tensor(pointwise(b.op, operands));
  require<TypeError>(is_tensor(arguments.out), b.name, "(): argument 'out' must be Tensor, not ",
                     Py_TYPE(arguments.out)->tp_name);
  const Tensor out = tensor_of(arguments.out);
  pointwise(b.op, operands, &out);
  return Py_NewRef(arguments.out);
}

const Binding& binding_of(PyObject* self) { return *reinterpret_cast<OperatorObject*>(self)->binding; }

PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded<PyObject*>(
      nullptr, [&] { return run(binding_of(self), args, size_t(PyVectorcall_NARGS(nargsf)), kwnames, false); });
}
PyObject* call_in_place(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded<PyObject*>(
      nullptr, [&] { return run(binding_of(self), args, size_t(PyVectorcall_NARGS(nargsf)), kwnames, true); });
}

std::string doc_of(const PointwiseRow& row) {
  std::string doc = row.doc;
  doc += "\n\n";
  if (row.domain == Domain::Floating) doc += "Integers and booleans are computed in the default floating dtype. ";
  doc += row.differentiable ? "Gradient: every floating operand, any order." : "Not differentiable.";
  return doc;
}

Binding* make(const PointwiseRow& row, PointwiseOp op, bool in_place) {
  constexpr const char* signatures[] = {"(input", "(input, other", "(input, other, third"};
  Binding* b = new Binding;
  std::string text = std::string(row.name) + (in_place ? "_" : "") + signatures[row.arity - 1] + ")";
  b->signature = text;
  b->parameters = parse_signature(text, b->name);
  b->doc = in_place ? std::string("In-place form of ") + row.name + "." : doc_of(row);
  b->flags = in_place ? 0 : kOut;
  b->op = op;
  return b;
}

}  // namespace

void publish_rows(PyObject* module) {
  PyObject* methods = tensor_type->tp_dict;
  for (int i = 0; i < kPointwiseCount; ++i) {
    const PointwiseRow& row = pointwise_rows[i];
    // A composite of the same name (add with alpha, softplus with its defaults) says itself where it is published.
    if (row.name[0] == '_' || PyObject_HasAttrString(module, row.name)) continue;
    const Object function(make_operator(make(row, PointwiseOp(i), false), call));
    const Object method(make_operator(make(row, PointwiseOp(i), true), call_in_place));
    add_public(module, row.name, function.get());
    PyDict_SetItemString(methods, row.name, function.get());
    PyDict_SetItemString(methods, (std::string(row.name) + "_").c_str(), method.get());
  }
  PyType_Modified(tensor_type);
}

PyObject* describe_rows() {  // for the test tables and the docs
  Object list(checked(PyList_New(0)));
  constexpr const char* domains[] = {"Floating", "Number", "Any", "Integral", "Comparison", "Logical", "Select"};
  for (const PointwiseRow& row : pointwise_rows) {
    Object derivatives(checked(PyList_New(0)));
    for (int i = 0; i < row.arity; ++i) {
      const Object text(checked(PyUnicode_FromString(row.derivatives[i])));
      PyList_Append(derivatives.get(), text.get());
    }
    const Object entry(checked(
        Py_BuildValue("{s:s,s:s,s:i,s:s,s:s,s:s,s:O,s:O}", "name", row.name, "domain", domains[int(row.domain)],
                      "arity", int(row.arity), "doc", row.doc, "reference", row.reference, "value", row.value,
                      "derivatives", derivatives.get(), "differentiable", row.differentiable ? Py_True : Py_False)));
    PyList_Append(list.get(), entry.get());
  }
  return list.release();
}

}  // namespace flambeau::python
