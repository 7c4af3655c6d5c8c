// Functions for the arguments of any call from Python.
#pragma once

#include "tensor/object.h"

namespace flambeau::python {

// Calls visit(o) for every argument. Lists and tuples are replaced by their elements, up to two levels deep.
template <class Visit>
void for_each(PyObject* const* args, size_t count, Visit&& visit, int depth = 0) {
  for (size_t i = 0; i < count; ++i) {
    PyObject* o = args[i];
    if (o && depth < 2 && (PyTuple_CheckExact(o) || PyList_CheckExact(o))) {
      const Object items = stable_items(o);
      for_each(PySequence_Fast_ITEMS(items.get()), size_t(PySequence_Fast_GET_SIZE(items.get())), visit, depth + 1);
    } else if (o) {
      visit(o);
    }
  }
}

inline size_t named_count(PyObject* kwnames) { return kwnames ? size_t(PyTuple_GET_SIZE(kwnames)) : 0; }

inline Object tuple_of(PyObject* const* items, size_t count) {
  Object out(checked(PyTuple_New(Py_ssize_t(count))));
  for (size_t i = 0; i < count; ++i) PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), Py_NewRef(items[i]));
  return out;
}

inline Object dictionary_of(PyObject* kwnames, PyObject* const* values) {
  Object out(checked(PyDict_New()));
  for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); ++i)
    if (PyDict_SetItem(out.get(), PyTuple_GET_ITEM(kwnames, i), values[i]) < 0) throw PythonError();
  return out;
}

}  // namespace flambeau::python
