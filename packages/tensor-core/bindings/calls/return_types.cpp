// The named tuples that operators with several results return.
#include "calls/bind.h"

#include <structmember.h>

#include <map>

#include "tensor/library_name.h"

namespace flambeau::python {

namespace {

struct ReturnType {
  const char* name;
  const char* fields[4];
};
constexpr ReturnType kReturnTypes[] = {
    {"histogramdd", {"hist", "bin_edges"}},
    {"svd", {"U", "S", "V"}},
    {"linalg_eig", {"eigenvalues", "eigenvectors"}},
    {"linalg_eigh", {"eigenvalues", "eigenvectors"}},
    {"linalg_svd", {"U", "S", "Vh"}},
    {"linalg_lstsq", {"solution", "residuals", "rank", "singular_values"}},
};

std::map<std::string_view, PyTypeObject*>& types() {
  static std::map<std::string_view, PyTypeObject*> all;
  return all;
}

// Implements __repr__. Example: flambeau.return_types.sort(\nvalues=...,\nindices=...)
PyObject* represent(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] {
    std::string text = under_library_name(Py_TYPE(self)->tp_name) + "(";
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
      const Object item(checked(PyObject_Repr(PyTuple_GET_ITEM(self, i))));
      text += std::string(i ? ",\n" : "\n") + Py_TYPE(self)->tp_members[i].name + "=";
      text += text_of(item.get());
    }
    return checked(PyUnicode_FromString((text + ")").c_str()));
  });
}

PyObject* all_types() {  // returns a borrowed dictionary that contains the types by name
  static PyObject* const all = checked(PyDict_New());
  return all;
}

// Returns a copy of the text that is never freed, because the types that use it are never freed either.
const char* permanent_copy(std::string_view text) { return (new std::string(text))->c_str(); }

}  // namespace

PyTypeObject* named_tuple_type(std::string_view name, const std::vector<std::string_view>& field_names) {
  std::vector<PyStructSequence_Field> fields;
  for (const std::string_view field : field_names) fields.push_back({permanent_copy(field), nullptr});
  fields.push_back({nullptr, nullptr});
  PyStructSequence_Desc description = {permanent_copy("flambeau.return_types." + std::string(name)),
                                       "Results of an operator, as a named tuple.", fields.data(),
                                       int(field_names.size())};
  PyTypeObject* made = PyStructSequence_NewType(&description);
  checked(reinterpret_cast<PyObject*>(made));
  made->tp_repr = represent;
  types()[permanent_copy(name)] = made;
  PyDict_SetItemString(all_types(), std::string(name).c_str(), reinterpret_cast<PyObject*>(made));
  return made;
}

PyObject* named_tuple(std::string_view name, std::initializer_list<Tensor> values) {
  Object out(checked(PyStructSequence_New(types().at(name))));
  Py_ssize_t i = 0;
  for (const Tensor& t : values) PyStructSequence_SetItem(out.get(), i++, checked(wrap_tensor(t)));
  return out.release();
}

PyObject* named_tuple(std::string_view name, std::initializer_list<PyObject*> values) {
  PyObject* out = checked(PyStructSequence_New(types().at(name)));
  Py_ssize_t i = 0;
  for (PyObject* value : values) PyStructSequence_SetItem(out, i++, value);
  return out;
}

PyObject* make_return_type(std::string_view name, PyObject* fields) {
  const Object items(checked(PySequence_Fast(fields, "fields must be a sequence")));
  std::vector<std::string_view> names;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i)
    names.push_back(text_of(PySequence_Fast_GET_ITEM(items.get(), i)));
  return Py_NewRef(reinterpret_cast<PyObject*>(named_tuple_type(name, names)));
}

void publish_return_types(PyObject* module) {
  for (const ReturnType& type : kReturnTypes) {
    std::vector<std::string_view> fields;
    for (const char* field : type.fields)
      if (field) fields.push_back(field);
    named_tuple_type(type.name, fields);
  }
  PyModule_AddObjectRef(module, "_return_types", all_types());
}

}  // namespace flambeau::python
