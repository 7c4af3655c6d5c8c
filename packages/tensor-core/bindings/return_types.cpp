// Tuples with named fields, as operators with several results return them.
#include "bind.h"

#include <structmember.h>

#include <map>

namespace flambeau::python {

namespace {

struct ReturnType {
  const char* name;
  const char* fields[3];
};
constexpr const char *kValues = "values", *kIndices = "indices";
constexpr ReturnType kReturnTypes[] = {
    {"sort", {kValues, kIndices}},          {"topk", {kValues, kIndices}}, {"kthvalue", {kValues, kIndices}},
    {"median", {kValues, kIndices}},        {"mode", {kValues, kIndices}}, {"nanmedian", {kValues, kIndices}},
    {"max", {kValues, kIndices}},           {"min", {kValues, kIndices}},  {"cummax", {kValues, kIndices}},
    {"cummin", {kValues, kIndices}},        {"aminmax", {"min", "max"}},   {"histogram", {"hist", "bin_edges"}},
    {"histogramdd", {"hist", "bin_edges"}},
};

std::map<std::string_view, PyTypeObject*>& types() {
  static std::map<std::string_view, PyTypeObject*> all;
  return all;
}

// flambeau.return_types.sort(\nvalues=...,\nindices=...)
PyObject* represent(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] {
    std::string text = std::string(Py_TYPE(self)->tp_name) + "(";
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
      const Object item(checked(PyObject_Repr(PyTuple_GET_ITEM(self, i))));
      text += std::string(i ? ",\n" : "\n") + Py_TYPE(self)->tp_members[i].name + "=";
      text += text_of(item.get());
    }
    return checked(PyUnicode_FromString((text + ")").c_str()));
  });
}

PyTypeObject* make_type(const ReturnType& type) {
  const std::string* name = new std::string(std::string("flambeau.return_types.") + type.name);  // lives with the type
  PyStructSequence_Field fields[4] = {};
  int count = 0;
  for (const char* field : type.fields)
    if (field) fields[count++].name = field;
  PyStructSequence_Desc description = {name->c_str(), "The results of an operator, by name.", fields, count};
  PyTypeObject* made = PyStructSequence_NewType(&description);
  checked(reinterpret_cast<PyObject*>(made));
  made->tp_repr = represent;
  return made;
}

}  // namespace

PyObject* named_tuple(std::string_view name, std::initializer_list<Tensor> values) {
  Object out(checked(PyStructSequence_New(types().at(name))));
  Py_ssize_t i = 0;
  for (const Tensor& t : values) PyStructSequence_SetItem(out.get(), i++, checked(wrap_tensor(t)));
  return out.release();
}

void publish_return_types(PyObject* module) {
  const Object all(checked(PyDict_New()));
  for (const ReturnType& type : kReturnTypes) {
    PyTypeObject* made = types()[type.name] = make_type(type);
    PyDict_SetItemString(all.get(), type.name, reinterpret_cast<PyObject*>(made));
  }
  PyModule_AddObjectRef(module, "_return_types", all.get());
}

}  // namespace flambeau::python
