// Parsing of signatures, and the registry of what they describe. Note [Binding] in define.h
#include "binding.h"

namespace flambeau::python {

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

PointwiseOp row_named(std::string_view name) {
  for (int i = 0; i < kPointwiseCount; ++i)
    if (name == pointwise_rows[i].name) return PointwiseOp(i);
  detail::raise<Error>("no row is called ", name);
}

// Cuts off what stands before the first comma outside of parentheses.
std::string_view next_part(std::string_view& text) {
  size_t comma = 0;
  for (int depth = 0; comma < text.size() && (text[comma] != ',' || depth > 0); ++comma)
    depth += (text[comma] == '(') - (text[comma] == ')');
  const std::string_view part = trimmed(text.substr(0, comma));
  text = comma < text.size() ? text.substr(comma + 1) : "";
  return part;
}

Parameter parse_parameter(std::string_view part) {  // name[: annotation][=default]
  Parameter p;
  const size_t equals = part.find('=');
  std::string_view name = trimmed(part.substr(0, equals));
  if (const size_t colon = name.find(':'); colon != name.npos) {
    p.annotation = trimmed(name.substr(colon + 1));
    name = trimmed(name.substr(0, colon));
  }
  if (const size_t bar = name.find('|'); bar != name.npos) {
    p.also = name.substr(bar);
    name = name.substr(0, bar);
  }
  p.name = PyUnicode_FromStringAndSize(name.data(), Py_ssize_t(name.size()));
  PyUnicode_InternInPlace(&p.name);
  if (equals != part.npos) p.fallback = literal(trimmed(part.substr(equals + 1)));
  return p;
}

// A signature with one name for each parameter; the bars in annotations have a space before them.
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
  const size_t open = text.find('(');
  name = std::string(text.substr(0, open));
  text = text.substr(open + 1, text.rfind(')') - open - 1);
  std::vector<Parameter> out;
  bool keyword_only = false;
  while (!text.empty()) {
    std::string_view part = next_part(text);
    const bool starred = part.front() == '*', behind = std::exchange(keyword_only, keyword_only || starred);
    if (part == "*") continue;
    if (starred) part.remove_prefix(1);
    out.push_back(parse_parameter(part));
    out.back().variadic = starred;
    out.back().keyword_only = behind;
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
  binding->signature = with_one_name_each(signature);
  if (flags & kRow) binding->op = row_named(binding->name);
  registry().push_back(binding);
  return binding;
}

void add_to_registry(Binding* binding) { registry().push_back(binding); }

const std::vector<Binding*>& bindings() { return registry(); }

}  // namespace flambeau::python
