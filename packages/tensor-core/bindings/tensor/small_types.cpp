// The dtype, layout and memory format objects, and Size.
#include <atomic>
#include <cstring>
#include <set>

#include "calls/conversions.h"
#include "tensor/library_name.h"
#include "tensor/tensor_type.h"

namespace flambeau::python {

PyTypeObject* dtype_type = nullptr;
PyTypeObject* size_type = nullptr;
PyTypeObject* layout_type = nullptr;
PyTypeObject* memory_format_type = nullptr;

namespace {

PyObject* dtype_objects[kDtypeCount];
constexpr const char* kLayoutName = "flambeau.layout";
PyObject* the_strided = nullptr;
std::atomic<const char*> name_in_texts = "flambeau";

Dtype value_of(PyObject* self) { return reinterpret_cast<DtypeObject*>(self)->value; }
PyObject* dtype_repr(PyObject* self) { return PyUnicode_FromFormat("%s.%s", library_name(), name(value_of(self))); }
PyObject* dtype_reduce(PyObject* self, PyObject*) { return PyUnicode_FromString(name(value_of(self))); }
PyObject* get_itemsize(PyObject* self, void*) { return PyLong_FromLongLong(item_size(value_of(self))); }
PyObject* get_is_floating_point(PyObject* self, void*) { return PyBool_FromLong(is_floating(value_of(self))); }
PyObject* get_is_complex(PyObject* self, void*) { return PyBool_FromLong(is_complex(value_of(self))); }
PyObject* dtype_to_real(PyObject* self, PyObject*) { return Py_NewRef(dtype_object(to_real(value_of(self)))); }
PyObject* dtype_to_complex(PyObject* self, PyObject*) { return Py_NewRef(dtype_object(to_complex(value_of(self)))); }
PyObject* get_is_signed(PyObject* self, void*) {
  return PyBool_FromLong(value_of(self) != Dtype::bool_ && !is_unsigned(value_of(self)));
}

PyGetSetDef dtype_attributes[] = {
    {"itemsize", get_itemsize, nullptr, "Number of bytes of an element.", nullptr},
    {"is_floating_point", get_is_floating_point, nullptr, "True for floating-point dtypes.", nullptr},
    {"is_complex", get_is_complex, nullptr, "True for complex dtypes.", nullptr},
    {"is_signed", get_is_signed, nullptr, "True for dtypes that can represent negative numbers.", nullptr},
    {}};
PyMethodDef dtype_methods[] = {
    {"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
    {"to_real", dtype_to_real, METH_NOARGS,
     "Return the dtype of the real and imaginary parts of a complex dtype, or the dtype itself if it is real."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "Return the complex dtype of this precision, at least complex64."},
    {}};
constexpr char kDtypeDoc[] = R"(Type of the elements of a tensor, such as flambeau.float32.

>>> x = fb.tensor([1, 2])
>>> x.dtype, x.dtype.itemsize, x.dtype.is_floating_point
(flambeau.int64, 8, False))";
PyType_Slot dtype_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(dtype_repr)},
                             {Py_tp_getset, dtype_attributes},
                             {Py_tp_methods, dtype_methods},
                             {Py_tp_doc, const_cast<char*>(kDtypeDoc)},
                             {0, nullptr}};
PyType_Spec dtype_spec = {"flambeau.dtype", sizeof(DtypeObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, dtype_slots};

PyObject* constant_repr(PyObject* self) {
  return PyUnicode_FromFormat("%s.%s", library_name(), reinterpret_cast<ConstantObject*>(self)->name);
}
PyObject* constant_reduce(PyObject* self, PyObject*) {
  return PyUnicode_FromString(reinterpret_cast<ConstantObject*>(self)->name);
}
PyMethodDef constant_methods[] = {{"__reduce__", constant_reduce, METH_NOARGS, nullptr}, {}};

PyTypeObject* create_constants(PyObject* module, const char* type_name, const char* doc,
                               std::initializer_list<const char*> names) {
  PyType_Slot slots[] = {{Py_tp_repr, reinterpret_cast<void*>(constant_repr)},
                         {Py_tp_methods, constant_methods},
                         {Py_tp_doc, const_cast<char*>(doc)},
                         {0, nullptr}};
  PyType_Spec spec = {type_name, sizeof(ConstantObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      slots};
  PyTypeObject* type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
  PyModule_AddObjectRef(module, std::strrchr(type_name, '.') + 1, reinterpret_cast<PyObject*>(type));
  int value = 0;
  for (const char* name : names) {
    ConstantObject* o = PyObject_New(ConstantObject, type);
    checked(reinterpret_cast<PyObject*>(o));
    o->name = name;
    o->value = value++;
    PyModule_AddObjectRef(module, name, reinterpret_cast<PyObject*>(o));
    if (type_name == kLayoutName && o->value == 0) the_strided = reinterpret_cast<PyObject*>(o);
  }
  return type;
}

PyObject* size_repr(PyObject* self) {
  const Object list(PySequence_List(self));
  return list ? PyUnicode_FromFormat("%s.Size(%R)", library_name(), list.get()) : nullptr;
}
PyObject* size_numel(PyObject* self, PyObject*) {
  int64_t n = 1;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i)
    n = int64_t(uint64_t(n) * uint64_t(PyLong_AsLongLong(PyTuple_GET_ITEM(self, i))));
  return PyErr_Occurred() ? nullptr : PyLong_FromLongLong(n);
}
// Implements Size(iterable of ints). The items may be any objects that have __index__.
PyObject* size_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  Object given(PyTuple_Type.tp_new(&PyTuple_Type, args, kwargs));
  if (!given) return nullptr;
  const Py_ssize_t n = PyTuple_GET_SIZE(given.get());
  Object size(type->tp_alloc(type, n));
  if (!size) return nullptr;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = PyTuple_GET_ITEM(given.get(), i);
    if (!PyIndex_Check(item))
      return PyErr_Format(PyExc_TypeError, "%s.Size() takes an iterable of 'int' (item %zd is '%s')", library_name(), i,
                          Py_TYPE(item)->tp_name);
    const Object index(PyNumber_Index(item));
    if (!index) return nullptr;
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
    if (overflow)
      return PyErr_Format(PyExc_ValueError, "%s.Size(): item %zd does not fit into 64 bits", library_name(), i);
    PyTuple_SET_ITEM(size.get(), i, PyLong_FromLongLong(value));
  }
  return size.release();
}
PyObject* as_size(PyObject* tuple) {  // steals the reference
  const Object owned(tuple);
  if (!tuple || !PyTuple_Check(tuple)) return owned ? Py_NewRef(tuple) : nullptr;
  return PyObject_CallOneArg(reinterpret_cast<PyObject*>(size_type), tuple);
}
// Converts a tuple of items of a Size, which are ints, without checks. Steals the reference.
PyObject* from_items(PyObject* tuple) {
  const Object owned(tuple);
  if (!tuple) return nullptr;
  const Py_ssize_t n = PyTuple_GET_SIZE(tuple);
  PyObject* size = size_type->tp_alloc(size_type, n);
  for (Py_ssize_t i = 0; size && i < n; ++i) PyTuple_SET_ITEM(size, i, Py_NewRef(PyTuple_GET_ITEM(tuple, i)));
  return size;
}
PyObject* size_item(PyObject* self, PyObject* key) {
  PyObject* item = PyTuple_Type.tp_as_mapping->mp_subscript(self, key);
  return item && PySlice_Check(key) ? from_items(item) : item;
}
PyObject* size_repeat(PyObject* a, Py_ssize_t n) { return from_items(PyTuple_Type.tp_as_sequence->sq_repeat(a, n)); }
// Returns a Size if either operand is a Size.
PyObject* size_add(PyObject* a, PyObject* b) {
  if (!PyTuple_Check(a) || !PyTuple_Check(b)) Py_RETURN_NOTIMPLEMENTED;
  return as_size(PyTuple_Type.tp_as_sequence->sq_concat(a, b));
}
PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "Return the product of the sizes."}, {}};
constexpr char kSizeDoc[] = R"(Tuple of the sizes of a tensor's dimensions.

>>> size = fb.ones(2, 3).shape
>>> size, size[0], size.numel()
(flambeau.Size([2, 3]), 2, 6))";
PyType_Slot size_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(size_repr)},
                            {Py_tp_methods, size_methods},
                            {Py_mp_subscript, reinterpret_cast<void*>(size_item)},
                            {Py_nb_add, reinterpret_cast<void*>(size_add)},
                            {Py_sq_repeat, reinterpret_cast<void*>(size_repeat)},
                            {Py_tp_new, reinterpret_cast<void*>(size_new)},
                            {Py_tp_doc, const_cast<char*>(kSizeDoc)},
                            {0, nullptr}};
constexpr char kLayoutDoc[] = R"(Storage layout of a tensor: strided, or one of the sparse layouts.

>>> fb.eye(2).layout, fb.eye(2).to_sparse().layout
(flambeau.strided, flambeau.sparse_coo))";
constexpr char kMemoryFormatDoc[] = R"(Order of a tensor's elements in memory.

>>> x = fb.ones(1, 3, 4, 5).to(memory_format=fb.channels_last)
>>> x.stride()
(60, 1, 15, 3))";
PyType_Spec size_spec = {"flambeau.Size", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, size_slots};

}  // namespace

const char* library_name() { return name_in_texts.load(std::memory_order_acquire); }
void set_library_name(const std::string& name) {
  static std::set<std::string> names;  // never freed, because other threads may still use old names
  name_in_texts.store(names.insert(name).first->c_str(), std::memory_order_release);
}
bool imported_as_torch() { return library_name() == std::string_view("torch"); }
std::string under_library_name(std::string_view name) {
  constexpr std::string_view own = "flambeau";
  return name.starts_with(own) ? library_name() + std::string(name.substr(own.size())) : std::string(name);
}

PyObject* dtype_object(Dtype d) { return dtype_objects[int(d)]; }
PyObject* strided_layout() { return the_strided; }
bool is_sparse_layout(PyObject* o) { return o != Py_None && o != the_strided && Py_TYPE(o) == layout_type; }

Strided From<Strided>::get(const Call& call, PyObject* o) {
  if (o == Py_None || o == the_strided) return {};
  if (Py_TYPE(o) != layout_type) wrong_argument(call, "flambeau.layout", o);
  detail::raise<NotImplementedError>(call.function, "(): the layout '", reinterpret_cast<ConstantObject*>(o)->name,
                                     "' is not supported, only strided");
}

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
  layout_type = create_constants(module, kLayoutName, kLayoutDoc,
                                 {"strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc"});
  memory_format_type = create_constants(module, "flambeau.memory_format", kMemoryFormatDoc,
                                        {"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"});
  size_type = reinterpret_cast<PyTypeObject*>(
      checked(PyType_FromSpecWithBases(&size_spec, reinterpret_cast<PyObject*>(&PyTuple_Type))));
  PyModule_AddObjectRef(module, "Size", reinterpret_cast<PyObject*>(size_type));
}

}  // namespace flambeau::python
