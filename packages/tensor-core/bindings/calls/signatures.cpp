// Parsing of signatures, and the registry of bindings. Note [Binding] in define.h
#include "calls/binding.h"
#include "flambeau/signature.h"

namespace flambeau::python {

namespace {

std::vector<Binding*>& registry() {
  static std::vector<Binding*> all;
  return all;
}

PyObject* literal(std::string_view text);

PyObject* tuple_literal(std::string_view items) {  // the items are separated by commas; a trailing comma is allowed
  const Object list(checked(PyList_New(0)));
  while (!items.empty()) {
    const size_t comma = std::min(items.find(','), items.size());
    const Object item(checked(literal(items.substr(0, comma))));
    if (PyList_Append(list.get(), item.get()) < 0) throw PythonError();
    items.remove_prefix(std::min(items.find_first_not_of(", ", comma), items.size()));
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

Parameter parameter_of(const Signature::Parameter& text) {
  Parameter p;
  p.name = PyUnicode_FromStringAndSize(text.name.data(), Py_ssize_t(text.name.size()));
  PyUnicode_InternInPlace(&p.name);
  if (!text.fallback.empty()) p.fallback = literal(text.fallback);
  p.keyword_only = text.keyword_only;
  p.variadic = text.variadic;
  p.also = text.also;
  p.annotation = text.annotation;
  return p;
}

std::vector<Parameter> parameters_of(const Signature& signature) {
  std::vector<Parameter> out;
  for (const Signature::Parameter& parameter : signature.parameters) out.push_back(parameter_of(parameter));
  return out;
}

// Removes the alternative names of parameters from a signature. A bar that follows a space is part of an annotation.
std::string with_one_name_each(std::string_view signature) {
  std::string out;
  for (size_t i = 0; i < signature.size(); ++i) {
    if (signature[i] == '|' && out.back() != ' ') i = signature.find_first_of(",=:)", i);
    out += signature[i];
  }
  return out;
}

}  // namespace

std::vector<Parameter> parse_signature(std::string_view text, std::string& name) {
  const Signature signature = Signature::parse(text);
  if (!signature.names.empty()) name = signature.names[0];
  return parameters_of(signature);
}

Binding* register_binding(std::string_view signature, int flags, const char* doc) {
  Binding* binding = new Binding;  // lives as long as the process
  const std::string_view names = signature.substr(0, signature.find('('));
  const Signature parsed = Signature::parse(signature);
  binding->parameters = parameters_of(parsed);
  for (const std::string_view name : parsed.names)
    if (binding->name.empty())
      binding->name = name;
    else
      binding->aliases.emplace_back(name);
  binding->signature = with_one_name_each(binding->name + std::string(signature.substr(names.size())));
  binding->doc = doc;
  binding->flags = flags;
  registry().push_back(binding);
  return binding;
}

void add_to_registry(Binding* binding) { registry().push_back(binding); }

const std::vector<Binding*>& bindings() { return registry(); }

}  // namespace flambeau::python
