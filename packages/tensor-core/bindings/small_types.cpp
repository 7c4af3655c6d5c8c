// The dtype objects and Size.
#include "tensor_type.h"

namespace flambeau::python {

PyTypeObject* dtype_type = nullptr;
PyTypeObject* size_type = nullptr;

namespace {

PyObject* dtype_objects[kDtypeCount];

Dtype value_of(PyObject* self) { return reinterpret_cast<DtypeObject*>(self)->value; }
PyObject* dtype_repr(PyObject* self) { return PyUnicode_FromFormat("flambeau.%s", name(value_of(self))); }
PyObject* dtype_reduce(PyObject* self, PyObject*) { return PyUnicode_FromString(name(value_of(self))); }
PyObject* get_itemsize(PyObject* self, void*) { return PyLong_FromLongLong(item_size(value_of(self))); }
PyObject* get_is_floating_point(PyObject* self, void*) { return PyBool_FromLong(is_floating(value_of(self))); }
PyObject* get_is_complex(PyObject* self, void*) { return PyBool_FromLong(is_complex(value_of(self))); }
PyObject* dtype_to_real(PyObject* self, PyObject*) { return Py_NewRef(dtype_object(to_real(value_of(self)))); }
PyObject* dtype_to_complex(PyObject* self, PyObject*) { return Py_NewRef(dtype_object(to_complex(value_of(self)))); }
PyObject* get_is_signed(PyObject* self, void*) {
  return PyBool_FromLong(value_of(self) != Dtype::bool_ && value_of(self) != Dtype::uint8);
}
PyObject* get_module(PyObject*, void*) { return PyUnicode_FromString("flambeau"); }

PyGetSetDef dtype_attributes[] = {{"itemsize", get_itemsize, nullptr, "Bytes of an element.", nullptr},
                                  {"is_floating_point", get_is_floating_point, nullptr, nullptr, nullptr},
                                  {"is_complex", get_is_complex, nullptr, nullptr, nullptr},
                                  {"is_signed", get_is_signed, nullptr, nullptr, nullptr},
                                  {"__module__", get_module, nullptr, nullptr, nullptr},
                                  {}};
PyMethodDef dtype_methods[] = {
    {"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
    {"to_real", dtype_to_real, METH_NOARGS, "The dtype of the parts of a complex dtype; a real dtype itself."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex dtype of this precision, complex64 at least."},
    {}};
PyType_Slot dtype_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(dtype_repr)},
                             {Py_tp_getset, dtype_attributes},
                             {Py_tp_methods, dtype_methods},
                             {Py_tp_doc, const_cast<char*>("The type of a tensor's elements.")},
                             {0, nullptr}};
PyType_Spec dtype_spec = {"flambeau.dtype", sizeof(DtypeObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, dtype_slots};

PyObject* size_repr(PyObject* self) {
  const Object list(PySequence_List(self));
  return list ? PyUnicode_FromFormat("flambeau.Size(%R)", list.get()) : nullptr;
}
PyObject* size_numel(PyObject* self, PyObject*) {
  int64_t n = 1;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) n *= PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
  return PyErr_Occurred() ? nullptr : PyLong_FromLongLong(n);
}
PyObject* as_size(PyObject* tuple) {  // steals
  const Object owned(tuple);
  if (!tuple || !PyTuple_Check(tuple)) return owned ? Py_NewRef(tuple) : nullptr;
  return PyObject_CallOneArg(reinterpret_cast<PyObject*>(size_type), tuple);
}
PyObject* size_item(PyObject* self, PyObject* key) {
  PyObject* item = PyTuple_Type.tp_as_mapping->mp_subscript(self, key);
  return item && PySlice_Check(key) ? as_size(item) : item;
}
PyObject* size_concat(PyObject* a, PyObject* b) { return as_size(PyTuple_Type.tp_as_sequence->sq_concat(a, b)); }
PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "The product of the sizes."}, {}};
PyType_Slot size_slots[] = {
    {Py_tp_repr, reinterpret_cast<void*>(size_repr)},      {Py_tp_methods, size_methods},
    {Py_mp_subscript, reinterpret_cast<void*>(size_item)}, {Py_sq_concat, reinterpret_cast<void*>(size_concat)},
    {Py_tp_doc, const_cast<char*>("A tuple of sizes.")},   {0, nullptr}};
PyType_Spec size_spec = {"flambeau.Size", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, size_slots};

}  // namespace

PyObject* dtype_object(Dtype d) { return dtype_objects[int(d)]; }

PyObject* wrap_size(const Shape& shape) {
  PyObject* out = size_type->tp_alloc(size_type, Py_ssize_t(shape.size()));
  for (size_t i = 0; out && i < shape.size(); ++i) PyTuple_SET_ITEM(out, Py_ssize_t(i), PyLong_FromLongLong(shape[i]));
  return out;
}

void create_small_types(PyObject* module) {
  dtype_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&dtype_spec)));
  PyModule_AddObjectRef(module, "dtype", reinterpret_cast<PyObject*>(dtype_type));
  for (int i = 0; i < kDtypeCount; ++i) {
    DtypeObject* o = PyObject_New(DtypeObject, dtype_type);
    o->value = Dtype(i);
    dtype_objects[i] = reinterpret_cast<PyObject*>(o);
    PyModule_AddObjectRef(module, name(Dtype(i)), dtype_objects[i]);
  }
  size_type = reinterpret_cast<PyTypeObject*>(
      checked(PyType_FromSpecWithBases(&size_spec, reinterpret_cast<PyObject*>(&PyTuple_Type))));
  PyModule_AddObjectRef(module, "Size", reinterpret_cast<PyObject*>(size_type));
}

}  // namespace flambeau::python
