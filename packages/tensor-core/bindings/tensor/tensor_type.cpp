// The Tensor type: creation and destruction of its objects, and the protocols other than arithmetic.
//
// Note [Tensor objects]
// A TensorImpl has a pointer to its Python object, so that a tensor is represented by the same object for as long as
// that object exists. Objects of the exact type Tensor come from a free list. The garbage collector does not track them
// until they get a __dict__, because without a __dict__ they cannot be part of a reference cycle of Python objects.
#include "tensor/tensor_type.h"

#include "calls/conversions.h"
#include "calls/dispatch.h"
#include "calls/extension_watch.h"
#include "calls/intercept.h"
#include "calls/overrides.h"
#include "calls/watch.h"
#include "flambeau/kept_values.h"
#include "tensor/library_name.h"
#include "tensor/peer.h"

#include <structmember.h>

namespace flambeau::python {

PyTypeObject* tensor_type = nullptr;
PyTypeObject* placeholder_type = nullptr;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr int kFreeListSize = 1;  // nearly disables reuse, so that the sanitizer detects uses after free
#else
constexpr int kFreeListSize = 512;
#endif
TensorObject* free_list[kFreeListSize];
int free_count = 0;

FLAMBEAU_INLINE TensorObject* new_object(PyTypeObject* type) {
  TensorObject* o;
  if (type == tensor_type && free_count > 0) {
    o = free_list[--free_count];
    PyObject_Init(reinterpret_cast<PyObject*>(o), type);
  } else {
    o = reinterpret_cast<TensorObject*>(type->tp_alloc(type, 0));
    if (!o) throw PythonError();
    if (type == tensor_type) PyObject_GC_UnTrack(o);
  }
  new (&o->tensor) Tensor();
  o->dict = o->weak_references = nullptr;
  o->is_gradient = false;
  return o;
}

// revive() increments the reference count of an object, and returns false if the object is being deallocated.
// allow_revival() must be called before, so that other threads may call revive(). Note [Free threading]
#if !defined(Py_GIL_DISABLED)
void allow_revival(PyObject*) {}
bool revive(PyObject* o) { return Py_REFCNT(o) > 0 && Py_NewRef(o); }
#elif PY_VERSION_HEX >= 0x030E0000
void allow_revival(PyObject* o) { PyUnstable_EnableTryIncRef(o); }
bool revive(PyObject* o) { return PyUnstable_TryIncRef(o); }
#else  // the implementation of CPython 3.14
void allow_revival(PyObject* o) {
  Py_ssize_t shared = _Py_atomic_load_ssize_relaxed(&o->ob_ref_shared);
  while (!(shared & _Py_REF_SHARED_FLAG_MASK) &&
         !_Py_atomic_compare_exchange_ssize(&o->ob_ref_shared, &shared, shared | _Py_REF_MAYBE_WEAKREF)) {
  }
}
bool revive(PyObject* o) {
  if (_Py_IsOwnedByCurrentThread(o)) {
    _Py_atomic_store_uint32_relaxed(&o->ob_ref_local, _Py_atomic_load_uint32_relaxed(&o->ob_ref_local) + 1);
    return true;
  }
  Py_ssize_t shared = _Py_atomic_load_ssize_relaxed(&o->ob_ref_shared);
  while (shared != 0 && shared != _Py_REF_MERGED)
    if (_Py_atomic_compare_exchange_ssize(&o->ob_ref_shared, &shared, shared + (1 << _Py_REF_SHARED_SHIFT)))
      return true;
  return false;
}
#endif

// Makes `o` the Python object of the tensor, so that wrap_tensor() returns it.
void link(const Tensor& t, TensorObject* o) {
  PyObject* const object = reinterpret_cast<PyObject*>(o);
  allow_revival(object);
  t.impl()->python_object = object;
}

// The deallocator of Tensor and of derived classes. There is only one function, because Python allows the assignment of
// a class to `__class__` only if both classes have the same deallocator. A class whose `__init_subclass__` does not
// call Tensor's has CPython's subtype_dealloc, which releases what the class adds and then calls this function.
void dealloc(PyObject* self) {
  const InterpreterSection section;
  TensorObject* o = reinterpret_cast<TensorObject*>(self);
  PyTypeObject* type = Py_TYPE(self);
  if (FLAMBEAU_UNLIKELY(type != tensor_type)) {
    if (type->tp_dealloc == dealloc && !release_derived(self)) return;
  } else if (FLAMBEAU_UNLIKELY(o->dict) && preserve(self)) {
    return;
  }
  interceptions -= type == placeholder_type;
  PyObject_GC_UnTrack(self);
  if (o->tensor.defined() && o->tensor.impl()->python_object == self) o->tensor.impl()->python_object = nullptr;
  if (o->weak_references) PyObject_ClearWeakRefs(self);
  Py_CLEAR(o->dict);
  o->tensor.~Tensor();
  if (type == tensor_type && free_count < kFreeListSize)
    free_list[free_count++] = o;
  else
    type->tp_free(self);
  Py_DECREF(type);
}

// Returns the autograd state of a tensor to which only its Python object refers, otherwise null.
AutogradMeta* owned_meta(PyObject* self) {
  const Tensor& t = reinterpret_cast<TensorObject*>(self)->tensor;
  return t.defined() && t.impl()->use_count() == 1 ? t.impl()->autograd : nullptr;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<TensorObject*>(self)->dict);
  AutogradMeta* meta = owned_meta(self);
  if (!meta) return 0;
  Py_VISIT(preserved_gradient(*meta));
  return python_autograd_hooks ? python_autograd_hooks->visit_callbacks(*meta, visit, arg) : 0;
}
int clear(PyObject* self) {
  const InterpreterSection section;
  Py_CLEAR(reinterpret_cast<TensorObject*>(self)->dict);
  AutogradMeta* meta = owned_meta(self);
  if (!meta) return 0;
  const Tensor gradient = preserved_gradient(*meta) ? std::move(meta->grad) : Tensor();
  if (python_autograd_hooks) python_autograd_hooks->drop_callbacks(*meta);
  return 0;
}

int set_attribute(PyObject* self, PyObject* name, PyObject* value) {
  const InterpreterSection section;
  const int result = PyObject_GenericSetAttr(self, name, value);
  if (reinterpret_cast<TensorObject*>(self)->dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return result;
}

Tensor of_sizes(PyObject* sizes) {
  Shape shape;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(sizes); ++i) {
    const Object index(checked(PyNumber_Index(PyTuple_GET_ITEM(sizes, i))));
    const int64_t size = PyLong_AsLongLong(index.get());
    if (size == -1 && PyErr_Occurred()) throw PythonError();
    shape.push_back(size);
  }
  return empty(shape, default_dtype());
}

// Returns true for an integer, which may be a scalar or an array without dimensions of NumPy.
bool is_one_size(PyObject* o) {
  if (PyLong_Check(o)) return true;
  if (is_tensor(o) || !PyIndex_Check(o)) return false;
  const Object index(PyNumber_Index(o));
  if (!index) PyErr_Clear();
  return bool(index);
}

// Creates the tensor for Tensor() (empty), Tensor(2, 3) and Tensor(size) (uninitialised), Tensor(tensor) (the same
// elements, in the autograd graph) or Tensor(data) (a copy).
Tensor from_arguments(PyObject* args) {
  const Py_ssize_t n = PyTuple_GET_SIZE(args);
  if (n == 0) return empty({0}, default_dtype());
  PyObject* first = PyTuple_GET_ITEM(args, 0);
  if (n > 1 || is_one_size(first)) return of_sizes(args);
  if (Py_TYPE(first) == size_type) return of_sizes(first);
  if (is_tensor(first)) {
    const Tensor& t = tensor_of(first);
    return recording(t) ? view(t, t.shape()) : alias(t);
  }
  require<TypeError>(!PyUnicode_Check(first), "new(): invalid data type 'str'");
  require<TypeError>(is_sequence(first) || is_array(first), "new(): data must be a sequence (got ",
                     Py_TYPE(first)->tp_name, ")");
  return tensor_from_data(first, default_dtype());
}

PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    Object arguments(Py_NewRef(args));
    PyObject *name, *value;
    Placement placement;
    for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value);) {
      static const Parameter device{PyUnicode_InternFromString("device")};
      const std::string_view keyword = text_of(name);
      if (keyword == "device") {
        placement = From<Placement>::get({"Tensor", &device, 1}, value);
      } else {
        require<TypeError>(keyword == "data" && PyTuple_GET_SIZE(args) == 0, "Tensor() takes no keyword argument '",
                           keyword, "'; use flambeau.tensor(data, dtype=...)");
        arguments = Object(checked(PyTuple_Pack(1, value)));
      }
    }
    require(
        !placement.given || PyTuple_GET_SIZE(arguments.get()) != 1 || !is_tensor(PyTuple_GET_ITEM(arguments.get(), 0)),
        "Tensor(tensor, device=...) is not supported; use ", library_name(), ".as_tensor(tensor, device=...)");
    note_read(arguments.get());
    const Tensor made = to(from_arguments(arguments.get()), placement.of_fresh());
    TensorObject* o = new_object(type);  // create the object last, so that no object exists without a tensor
    Object owner(reinterpret_cast<PyObject*>(o));
    o->tensor = made;
    link(o->tensor, o);
    note_made(owner.get());
    return owner.release();
  });
}

// _make_subclass(cls, data, requires_grad=False, dispatch_sizes_strides=False, dispatch_device=False,
// device_for_backend_keys=None)
PyObject* make_subclass(PyObject*, PyObject* args, PyObject* kwargs) {
  PyObject *type, *data, *device = Py_None;
  int requires_grad = 0, ignored = 0;
  const char* const names[] = {
      "cls", "data", "require_grad", "dispatch_sizes_strides", "dispatch_device", "device_for_backend_keys", nullptr};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|pppO", const_cast<char**>(names), &PyType_Type, &type,
                                   tensor_type, &data, &requires_grad, &ignored, &ignored, &device))
    return nullptr;
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), tensor_type),
                       "_make_subclass: the type must derive from Tensor");
    require<TypeError>(is_tensor(data), "_make_subclass: the data must be a Tensor, not ", Py_TYPE(data)->tp_name);
    TensorObject* o = new_object(reinterpret_cast<PyTypeObject*>(type));
    Object owner(reinterpret_cast<PyObject*>(o));
    note_read(data);
    o->tensor = alias(tensor_of(data));
    link(o->tensor, o);
    note_made(owner.get());
    if (device != Py_None) show_device(o->tensor, device);
    if (requires_grad) {
      ensure_autograd();
      autograd_hooks->set_requires_grad(o->tensor, true);
    }
    return owner.release();
  });
}

PyObject* init_subclass(PyObject* type, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    PyObject* const super = reinterpret_cast<PyObject*>(&PySuper_Type);
    const Object bases(checked(PyObject_CallFunctionObjArgs(super, tensor_type, type, nullptr)));
    const Object next(checked(PyObject_GetAttrString(bases.get(), "__init_subclass__")));
    Object result(checked(PyObject_Call(next.get(), args, kwargs)));
    reinterpret_cast<PyTypeObject*>(type)->tp_dealloc = dealloc;
    note_dispatching_class(reinterpret_cast<PyTypeObject*>(type));
    note_subclass(type);
    return result.release();
  });
}

PyObject* use_count(PyObject* self, PyObject*) {
  const InterpreterSection section;
  return PyLong_FromLongLong(tensor_of(self).impl()->use_count());
}

// _swap_tensor_impl(a, b)
PyObject* swap_tensor_impl(PyObject*, PyObject* args) {
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "O!O!", tensor_type, &a, tensor_type, &b)) return nullptr;
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(is_tensor(a) && is_tensor(b), "_swap_tensor_impl: batched tensors cannot be swapped");
    wait_for_operators();
    count_uncounted_change();
    auto &first = *reinterpret_cast<TensorObject*>(a), &second = *reinterpret_cast<TensorObject*>(b);
    std::swap(first.tensor, second.tensor);
    std::swap(first.is_gradient, second.is_gradient);
    for (TensorObject* const o : {&first, &second}) {
      link(o->tensor, o);
      // The other object may have been tracked because of its class or the hooks of its tensor.
      if (!PyObject_GC_IsTracked(reinterpret_cast<PyObject*>(o))) PyObject_GC_Track(o);
    }
    Py_RETURN_NONE;
  });
}

Py_ssize_t length(PyObject* self) {
  Caller caller;
  if (caller.intercepts("__len__", self)) {
    const Object result(caller.result);
    return result ? PyNumber_AsSsize_t(result.get(), PyExc_OverflowError) : -1;
  }
  const Tensor& t = tensor_of(self);
  if (t.dim() > 0) return Py_ssize_t(t.shape()[0]);
  PyErr_SetString(PyExc_TypeError, "len() of a 0-d tensor");
  return -1;
}

PyObject* iterate(PyObject* self) {
  Caller caller;
  if (may_override(self)) {  // if the class has __torch_function__, call its unbind() and iterate over the result
    if (caller.intercepts("unbind", self)) {
      const Object rows(caller.result);
      return rows ? PyObject_GetIter(rows.get()) : nullptr;
    }
  } else if (caller.intercepts("__iter__", self)) {
    return caller.result;
  }
  if (tensor_of(self).dim() == 0) {
    PyErr_SetString(PyExc_TypeError, "iteration over a 0-d tensor");
    return nullptr;
  }
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    const Tensors rows = unbind(tensor_of(self), 0);
    const Object tuple(checked(PyTuple_New(Py_ssize_t(rows.size()))));
    for (size_t i = 0; i < rows.size(); ++i)
      PyTuple_SET_ITEM(tuple.get(), Py_ssize_t(i), checked(wrap_tensor(rows[i])));
    return PyObject_GetIter(tuple.get());
  });
}

int contains(PyObject* self, PyObject* value) {
  return guarded<int>(-1, [&]() -> int {
    Caller caller;
    if (caller.intercepts("__contains__", self, value)) {
      const Object owner(caller.result);
      return caller.result ? PyObject_IsTrue(caller.result) : -1;
    }
    Operand operand(0);
    require(to_operand(value, operand),
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a <class '", Py_TYPE(value)->tp_name,
            "'>.");
    NoRecording off;
    return item(any(eq(tensor_of(self), operand), {}, false)).truth();
  });
}

// id(self), as in PyTorch. It remains the same if _swap_tensor_impl() gives the object another tensor.
Py_hash_t hash(PyObject* self) { return Py_hash_t(reinterpret_cast<size_t>(self)); }

PyObject* compare(PyObject* self, PyObject* other, int op);

// Compares with a NumPy array. Returns NotImplemented for other objects.
PyObject* compare_with_array(PyObject* self, PyObject* other, int op) {
  if (PyErr_Occurred()) return nullptr;
  if (!is_numpy_array(other) || handles_arrays(self)) Py_RETURN_NOTIMPLEMENTED;
  const Object array(guarded<PyObject*>(nullptr, [&] {
    const OnDevice cpu(DeviceType::Cpu);
    return wrap_tensor(tensor_from_buffer(other));
  }));
  return array.get() ? compare(self, array.get(), op) : nullptr;
}

PyObject* compare(PyObject* self, PyObject* other, int op) {
  constexpr PointwiseOp table[] = {op::lt, op::le, op::eq, op::ne, op::gt, op::ge};
  Caller caller;
  if (caller.intercepts(row_of(table[op]).name, self, other))
    return is_unsupported(caller.result, self, other) ? compare_with_array(self, other, op) : caller.result;
  Operand operands[2] = {tensor_of(self), 0};
  if (!to_operand(other, operands[1])) return compare_with_array(self, other, op);
  return watched(row_of(table[op]).name, [&] { return wrap_tensor(pointwise(table[op], operands)); });
}

PyMethodDef methods[] = {
    {"_make_subclass", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(make_subclass)),
     METH_VARARGS | METH_KEYWORDS | METH_STATIC, "_make_subclass(cls, data, requires_grad=False)"},
    {"__init_subclass__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(init_subclass)),
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, nullptr},
    {"_use_count", use_count, METH_NOARGS, "Return the number of references that C++ code holds to the tensor."},
    {"_swap_tensor_impl", swap_tensor_impl, METH_VARARGS | METH_STATIC,
     "Exchange the elements, geometry and gradients of two tensors. See flambeau.utils.swap_tensors."},
    {}};
PyMemberDef members[] = {{"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak_references), READONLY, nullptr},
                         {}};

const char kDoc[] = R"(Multi-dimensional array of one dtype.

Create it with functions such as flambeau.tensor, zeros, ones, arange and from_numpy. Tensor(2, 3) returns an
uninitialised float32 tensor.

>>> x = fb.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> x.shape, x.dtype, x.device
(flambeau.Size([2, 2]), flambeau.float32, device(type='cpu'))
>>> x @ x - x.mean()
tensor([[ 4.5000,  7.5000],
        [12.5000, 19.5000]]))";

}  // namespace

void release_temporary_base(TensorImpl& view) {
  const TensorImpl& base = *view.base;
  if (base.use_count() > 1 || base.dual) return;
  const bool is_recorded = base.requires_grad && view.view_kind < ViewKind::NoGrad;
  if (is_recorded && (!view.requires_grad || base.autograd->history != view.autograd->base_history)) return;
  view.base = Ref<TensorImpl>();
}

PyObject* wrap_tensor(const Tensor& t) {
  if (!t.defined()) Py_RETURN_NONE;
  auto* known = static_cast<PyObject*>(t.impl()->python_object);
  if (known && revive(known)) {
    const bool has_attributes = reinterpret_cast<TensorObject*>(known)->dict != nullptr;
    if (FLAMBEAU_UNLIKELY((Py_TYPE(known) != tensor_type) | has_attributes)) reclaim_object(t, known);
    return known;
  }
  if (t.impl()->base) release_temporary_base(*t.impl());
  TensorObject* o = new_object(tensor_type);
  o->tensor = t;
  link(t, o);
  return reinterpret_cast<PyObject*>(o);
}

PyObject* adopt_as(PyObject* type, const Tensor& fresh) {
  require<TypeError>(PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), tensor_type) &&
                         reinterpret_cast<PyTypeObject*>(type) != placeholder_type,
                     "the type must derive from Tensor");
  TensorObject* o = new_object(reinterpret_cast<PyTypeObject*>(type));
  o->tensor = fresh;
  link(fresh, o);
  return reinterpret_cast<PyObject*>(o);
}

PyObject* adopt_placeholder(const Tensor& shell, PyObject* value, PyObject* level) {
  static PyObject *const value_name = PyUnicode_InternFromString("value"), *const level_name =
                                                                               PyUnicode_InternFromString("level");
  TensorObject* o = new_object(placeholder_type);
  ++interceptions;
  Object owner(reinterpret_cast<PyObject*>(o));
  o->tensor = shell;
  link(shell, o);
  if (PyObject_SetAttr(owner.get(), value_name, value) < 0 || PyObject_SetAttr(owner.get(), level_name, level) < 0)
    throw PythonError();
  return owner.release();
}

void create_tensor_type() {
  PyType_Slot slots[96];
  PyType_Slot* slot = slots;
  auto put = [&](int id, auto* value) { *slot++ = {id, reinterpret_cast<void*>(value)}; };
  put(Py_tp_dealloc, dealloc);
  put(Py_tp_traverse, traverse);
  put(Py_tp_clear, clear);
  put(Py_tp_new, construct);
  put(Py_tp_hash, hash);
  put(Py_tp_iter, iterate);
  put(Py_tp_setattro, set_attribute);
  put(Py_tp_richcompare, compare);
  put(Py_tp_getset, tensor_attributes);
  put(Py_tp_methods, methods);
  put(Py_tp_members, members);
  put(Py_tp_doc, const_cast<char*>(kDoc));
  put(Py_mp_subscript, get_item);
  put(Py_mp_ass_subscript, set_item);
  put(Py_mp_length, length);
  put(Py_sq_contains, contains);
  put(Py_bf_getbuffer, get_buffer);
  put(Py_bf_releasebuffer, release_buffer);
  add_number_slots(slot);
  *slot = {0, nullptr};
  PyType_Spec spec = {"flambeau.Tensor", sizeof(TensorObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  tensor_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
  // In PyTorch, the class is defined in Python. Python's messages then name it "Tensor", without the module.
  const Object name(checked(PyUnicode_FromString("Tensor")));
  if (PyObject_SetAttrString(reinterpret_cast<PyObject*>(tensor_type), "__name__", name.get())) throw PythonError();
}

}  // namespace flambeau::python
