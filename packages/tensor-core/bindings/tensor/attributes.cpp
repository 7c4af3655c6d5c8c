// Attributes of Tensor, and conversions of its elements to Python numbers and lists.
#include <algorithm>

#include "calls/conversions.h"
#include "calls/dispatch.h"
#include "calls/intercept.h"
#include "calls/overrides.h"
#include "calls/warning.h"
#include "flambeau/cuda.h"
#include "flambeau/kept_values.h"
#include "flambeau/training_hooks.h"
#include "tensor/tensor_type.h"

namespace flambeau::python {

PyObject* device_cpu = nullptr;

PyObject* scalar_object(Scalar s) {
  if (s.kind() == Category::Boolean) return PyBool_FromLong(s.truth());
  if (s.kind() == Category::Complex) return PyComplex_FromDoubles(s.real(), s.imaginary());
  if (s.wide()) return PyLong_FromUnsignedLongLong(s.unsigned_integer());
  return s.kind() == Category::Integer ? PyLong_FromLongLong(s.integer()) : PyFloat_FromDouble(s.real());
}

namespace {

template <class T>
PyObject* number(const T* value) {
  if constexpr (std::is_same_v<T, bool>)
    // Memory shared with other libraries may contain bytes other than 0 and 1.
    return PyBool_FromLong(*reinterpret_cast<const uint8_t*>(value) != 0);
  else if constexpr (std::is_same_v<T, uint64_t>)
    return PyLong_FromUnsignedLongLong(*value);
  else if constexpr (std::is_integral_v<T>)
    return PyLong_FromLongLong(*value);
  else if constexpr (is_complex_type<T>)
    return PyComplex_FromDoubles(double(value->re), double(value->im));
  else
    return PyFloat_FromDouble(convert<double>(*value));
}

// Creates nested lists of Python numbers. The GIL is held throughout, so signals are handled between the numbers.
template <class T>
struct ListWriter {
  const Tensor& t;
  int64_t until_signals = kBetweenSignals;
  static constexpr int64_t kBetweenSignals = 1 << 18;  // numbers, which take about 5 ms

  PyObject* list_from(const T* data, size_t dim) {
    const int64_t size = t.shape()[dim], stride = t.strides()[dim];
    Object list(checked(PyList_New(Py_ssize_t(size))));
    PyObject_GC_UnTrack(list.get());  // signal handlers must not find a list that has empty slots
    const bool innermost = dim + 1 == t.shape().size();
    for (int64_t i = 0; i < size; ++i) {
      const T* at = data + i * stride;  // address of an element that exists; a dimension of size 1 may have any stride
      PyList_SET_ITEM(list.get(), Py_ssize_t(i), checked(innermost ? number(at) : list_from(at, dim + 1)));
      if (FLAMBEAU_UNLIKELY(--until_signals < 0)) {
        until_signals = kBetweenSignals;
        if (PyErr_CheckSignals() < 0) throw PythonError();
      }
    }
    PyObject_GC_Track(list.get());
    return list.release();
  }
};

constexpr const char kReversalDeprecated[] =
    "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an "
    "error in a future release. Consider `x.mT` to transpose batches of matrices or `x.permute(*range(x.ndim - 1, -1, "
    "-1))` to reverse the dimensions of a tensor.";

Tensor reversed(const Tensor& t) {
  if (t.dim() == 2) return transpose(t, 0, 1);
  warn(kReversalDeprecated);
  Shape order;
  for (int i = t.dim() - 1; i >= 0; --i) order.push_back(i);
  return permute(t, order);
}

Tensor conjugate(const Tensor& t) {  // returns a new tensor on the same device if `t` is complex
  const OnDevice scope(t.device(), "conj");
  const cuda::Call call;
  return conj(t);
}

// Returns a tensor with the same memory that is not part of the autograd graph. Autograd does not count writes to this
// tensor as changes, so that initialisers, for example, can use it.
Tensor data_of(const Tensor& t) {
  Tensor data = alias(t);
  data.impl()->counts_changes = false;
  return data;
}

AutogradMeta* meta(PyObject* self) { return tensor_of(self).impl()->autograd; }

#define FLAMBEAU_GET(name, expression)                      \
  PyObject* get_##name(PyObject* self, void*) {             \
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* { \
      const Tensor& t = tensor_of(self);                    \
      (void)t;                                              \
      return expression;                                    \
    });                                                     \
  }
FLAMBEAU_GET(shape, wrap_size(t.shape()))
FLAMBEAU_GET(dtype, Py_NewRef(dtype_object(t.dtype())))
FLAMBEAU_GET(device, Py_NewRef(shown_device(self)))
FLAMBEAU_GET(is_cpu, PyBool_FromLong(shows_device(self, DeviceType::Cpu)))
FLAMBEAU_GET(none, Py_NewRef(Py_None))
FLAMBEAU_GET(is_cuda, PyBool_FromLong(shows_device(self, DeviceType::Cuda)))
FLAMBEAU_GET(is_meta, PyBool_FromLong(shows_device(self, DeviceType::Meta)))
FLAMBEAU_GET(layout, Py_NewRef(strided_layout()))
FLAMBEAU_GET(ndim, PyLong_FromLong(t.dim()))
FLAMBEAU_GET(requires_grad, PyBool_FromLong(t.requires_grad()))
FLAMBEAU_GET(is_leaf, PyBool_FromLong(!t.requires_grad() || (t.impl()->requires_grad && !meta(self)->grad_fn)))
FLAMBEAU_GET(retains_grad, PyBool_FromLong(meta(self) && meta(self)->retains_grad))
FLAMBEAU_GET(output_number, PyLong_FromUnsignedLong(meta(self) ? meta(self)->output_index : 0))
FLAMBEAU_GET(version, (require(!t.storage().inference(), "Inference tensors do not track version counter."),
                       PyLong_FromUnsignedLong(t.storage().version())))
FLAMBEAU_GET(data, wrap_tensor(data_of(t)))
FLAMBEAU_GET(transposed, wrap_tensor(reversed(t)))
FLAMBEAU_GET(matrix_transposed,
             (require(t.dim() >= 2, "tensor.mT is only supported on matrices or batches of matrices. Got ", t.dim(),
                      "-D tensor."),
              wrap_tensor(transpose(t, -2, -1))))
FLAMBEAU_GET(adjoint, (require(t.dim() == 0 || t.dim() == 2,
                               "tensor.H is only supported on matrices (2-D tensors). Got ", t.dim(), "-D tensor."),
                       wrap_tensor(t.dim() ? transpose(conjugate(t), 0, 1) : conjugate(t))))
FLAMBEAU_GET(matrix_adjoint,
             (require(t.dim() >= 2, "tensor.mH is only supported on matrices or batches of matrices. Got ", t.dim(),
                      "-D tensor."),
              wrap_tensor(transpose(conjugate(t), -2, -1))))
FLAMBEAU_GET(real, is_complex(t.dtype()) ? wrap_tensor(real(t)) : Py_NewRef(self))
FLAMBEAU_GET(imag, wrap_tensor(imag(t)))
FLAMBEAU_GET(itemsize, PyLong_FromLongLong(item_size(t.dtype())))
FLAMBEAU_GET(nbytes, PyLong_FromLongLong(item_size(t.dtype()) * t.numel()))
FLAMBEAU_GET(address, PyLong_FromVoidPtr(t.impl()))
FLAMBEAU_GET(base, t.impl()->base ? wrap_tensor(Tensor(t.impl()->base)) : Py_NewRef(Py_None))
FLAMBEAU_GET(false, Py_NewRef(Py_False))
#undef FLAMBEAU_GET

constexpr const char* kNoGradientHere =
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
    "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, "
    "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the "
    "leaf Tensor instead.";

// Makes the Python object of .grad keep its attributes, and registers its owner with the garbage collector, because the
// attributes may refer to the owner. Note [Preserved objects]
void keep_attributes(PyObject* owner, PyObject* gradient) {
  reinterpret_cast<TensorObject*>(gradient)->is_gradient = true;
  if (!PyObject_GC_IsTracked(owner)) PyObject_GC_Track(owner);
}

PyObject* get_grad(PyObject* self, void*) {
  const InterpreterSection section;
  const AutogradMeta* const m = meta(self);
  if (!m) Py_RETURN_NONE;
  if (!m->grad.defined() && m->grad_fn && !m->retains_grad && PyErr_WarnEx(PyExc_UserWarning, kNoGradientHere, 1) < 0)
    return nullptr;
  return guarded<PyObject*>(nullptr, [self, m] {
    PyObject* const gradient = wrap_tensor(m->grad);
    if (gradient != Py_None) keep_attributes(self, gradient);
    return gradient;
  });
}

PyObject* get_grad_fn(PyObject* self, void*) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    if (!t.requires_grad()) Py_RETURN_NONE;
    ensure_autograd();  // C++ code may have recorded the tensor before Python loaded autograd
    return python_autograd_hooks->wrap_grad_fn(t);
  });
}

// Reading __dict__ creates it. An object with a __dict__ can be part of a reference cycle. Note [Tensor objects]
PyObject* get_dict(PyObject* self, void*) {
  const InterpreterSection section;
  PyObject* dict = PyObject_GenericGetDict(self, nullptr);
  if (dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return dict;
}

int reject_delete(PyObject* value, const char* name) {
  if (value) return 0;
  PyErr_Format(PyExc_RuntimeError, "cannot delete the attribute '%s' of a Tensor", name);
  return -1;
}

int set_requires_grad(PyObject* self, PyObject* value, void*) {
  if (reject_delete(value, "requires_grad")) return -1;
  return guarded<int>(-1, [&]() -> int {
    const int wanted = PyObject_IsTrue(value);
    if (wanted < 0) throw PythonError();
    if (!wanted && !tensor_of(self).requires_grad()) return 0;
    ensure_autograd();
    autograd_hooks->set_requires_grad(tensor_of(self), wanted);
    return 0;
  });
}

int set_grad(PyObject* self, PyObject* value, void*) {
  return guarded<int>(-1, [&]() -> int {
    const bool clears = !value || value == Py_None;
    require<TypeError>(clears || is_tensor(value), "assigned grad expected to be a Tensor or None but got ",
                       clears ? "" : Py_TYPE(value)->tp_name);
    assign_gradient(tensor_of(self), clears ? Tensor() : tensor_of(value));
    if (clears) return 0;
    keep_attributes(self, value);
    if (training_hooks && meta(value)) training_hooks->suspect_cycle(tensor_of(self));
    return 0;
  });
}

template <Tensor (*part)(const Tensor&)>
int set_part(PyObject* self, PyObject* value, void*) {
  if (reject_delete(value, "real or imag")) return -1;
  return guarded<int>(-1, [&]() -> int {
    Operand operand(0);
    require<TypeError>(to_operand(value, operand), "can't assign a ", Py_TYPE(value)->tp_name,
                       " to a part of a flambeau tensor");
    const Tensor target = part(tensor_of(self));
    copy_(target, operand.tensor ? *operand.tensor : scalar_tensor(operand.scalar, target.dtype()));
    return 0;
  });
}

int set_data(PyObject* self, PyObject* value, void*) {
  if (reject_delete(value, "data")) return -1;
  return guarded<int>(-1, [&]() -> int {
    require<TypeError>(is_tensor(value), "Variable data has to be a tensor, but got ", Py_TYPE(value)->tp_name);
    TensorImpl &to = *tensor_of(self).impl(), &from = *tensor_of(value).impl();
    require(!to.requires_grad || is_inexact(from.dtype),
            "data set to a tensor that requires gradients must be floating point or complex dtype, got ", from.dtype);
    wait_for_operators();
    count_uncounted_change();
    // Other users of the memory must not see another version.
    const bool unshared = from.use_count() == 1 && from.storage->use_count() == 1;
    if (unshared) raise_version(*from.storage, to.storage->version());
    to.storage = from.storage;
    to.offset = from.offset;
    to.shape = from.shape;
    to.strides = from.strides;
    to.dtype = from.dtype;
    to.base = Ref<TensorImpl>();  // the tensor is no longer a view of its previous base
    to.update_geometry();
    return 0;
  });
}

// Returns true for attributes that a placeholder and the tensors that it represents have in common. Note [Interception]
bool is_metadata(getter get) {
  constexpr getter shown[] = {get_shape,  get_dtype, get_device, get_layout,  get_ndim, get_itemsize,
                              get_nbytes, get_false, get_is_cpu, get_is_meta, get_none};
  return std::find(std::begin(shown), std::end(shown), get) != std::end(shown);
}

template <getter get>
PyObject* intercepted_get(PyObject* self, void* name) {
  Caller caller;
  if (FLAMBEAU_UNLIKELY(interceptions) && (Py_TYPE(self) != tensor_type || in_mode() || in_dispatch_mode()) &&
      !(Py_TYPE(self) == placeholder_type && is_metadata(get)) &&
      caller.intercepts_attribute(static_cast<const char*>(name), self, nullptr))
    return caller.result;
  return get(self, nullptr);
}

template <setter set>
int intercepted_set(PyObject* self, PyObject* value, void* name) {
  Caller caller;
  if (FLAMBEAU_UNLIKELY(interceptions) &&
      caller.intercepts_attribute(static_cast<const char*>(name), self, value ? value : Py_None)) {
    const Object owner(caller.result);
    return caller.result ? 0 : -1;
  }
  return set(self, value, nullptr);
}

}  // namespace

PyObject* to_list(const Tensor& given) {
  const Tensor t = given.is_cuda()
                       ? to(detach(given), DeviceType::Cpu)
                       : alias(given);  // the garbage collector may run code that changes the memory of `given`
  if (is_small_float(t.dtype())) return to_list(to(detach(t), Dtype::float32));
  return dispatch_all(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* data = t.data<T>();
    return t.dim() ? ListWriter<T>{t}.list_from(data, 0) : number(data);
  });
}

#define FLAMBEAU_ATTRIBUTE(name, get, set, doc) {name, intercepted_get<get>, set, doc, const_cast<char*>(name)}
PyGetSetDef tensor_attributes[] = {
    {"__dict__", get_dict, PyObject_GenericSetDict, nullptr, nullptr},
    FLAMBEAU_ATTRIBUTE("shape", get_shape, nullptr, "Sizes of the dimensions, a flambeau.Size."),
    FLAMBEAU_ATTRIBUTE("dtype", get_dtype, nullptr, "Type of the elements."),
    FLAMBEAU_ATTRIBUTE("device", get_device, nullptr, "Device of the memory."),
    FLAMBEAU_ATTRIBUTE("layout", get_layout, nullptr, "Memory layout of the elements: flambeau.strided."),
    FLAMBEAU_ATTRIBUTE("ndim", get_ndim, nullptr, "Number of dimensions."),
    FLAMBEAU_ATTRIBUTE("requires_grad", get_requires_grad, intercepted_set<set_requires_grad>,
                       "True if gradients are computed for the tensor or for a tensor that it was computed from."),
    FLAMBEAU_ATTRIBUTE("is_leaf", get_is_leaf, nullptr,
                       "True if the tensor is not the result of a recorded operation."),
    FLAMBEAU_ATTRIBUTE("grad", get_grad, intercepted_set<set_grad>, "Accumulated gradient, or None."),
    FLAMBEAU_ATTRIBUTE("_grad", get_grad, intercepted_set<set_grad>, "Other name of `grad`."),
    FLAMBEAU_ATTRIBUTE("grad_fn", get_grad_fn, nullptr, "Node of the graph that computed the tensor, or None."),
    FLAMBEAU_ATTRIBUTE("retains_grad", get_retains_grad, nullptr,
                       "True if a non-leaf tensor stores its gradient in .grad."),
    FLAMBEAU_ATTRIBUTE("output_nr", get_output_number, nullptr, "Index of the tensor among the outputs of grad_fn."),
    FLAMBEAU_ATTRIBUTE("_version", get_version, nullptr, "Number of in-place changes of the memory."),
    FLAMBEAU_ATTRIBUTE("_base", get_base, nullptr, "Tensor that a view was created from, or None."),
    FLAMBEAU_ATTRIBUTE("_cdata", get_address, nullptr, "Address of the C++ object, which identifies the tensor."),
    FLAMBEAU_ATTRIBUTE("data", get_data, intercepted_set<set_data>,
                       "Tensor with the same memory that is not part of the graph. Writing to it is not recorded as an "
                       "in-place change."),
    FLAMBEAU_ATTRIBUTE("T", get_transposed, nullptr, "View with the dimensions in reverse order."),
    FLAMBEAU_ATTRIBUTE("mT", get_matrix_transposed, nullptr, "View with the last two dimensions exchanged."),
    FLAMBEAU_ATTRIBUTE("H", get_adjoint, nullptr, "Conjugate transpose of a matrix."),
    FLAMBEAU_ATTRIBUTE("mH", get_matrix_adjoint, nullptr, "Conjugate transpose over the last two dimensions."),
    FLAMBEAU_ATTRIBUTE("real", get_real, intercepted_set<set_part<real>>,
                       "View of the real parts; the tensor itself if it is real."),
    FLAMBEAU_ATTRIBUTE("imag", get_imag, intercepted_set<set_part<imag>>,
                       "View of the imaginary parts of a complex tensor."),
    FLAMBEAU_ATTRIBUTE("itemsize", get_itemsize, nullptr, "Number of bytes of an element."),
    FLAMBEAU_ATTRIBUTE("nbytes", get_nbytes, nullptr, "Number of bytes of all elements."),
    FLAMBEAU_ATTRIBUTE("is_cpu", get_is_cpu, nullptr, "True if the tensor is on the CPU."),
    FLAMBEAU_ATTRIBUTE("is_cuda", get_is_cuda, nullptr, "True if the tensor is on a GPU."),
    FLAMBEAU_ATTRIBUTE("is_ipu", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_maia", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_mtia", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_vulkan", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_xla", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("name", get_none, nullptr, "None: tensors have no names."),
    FLAMBEAU_ATTRIBUTE("is_nested", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_sparse_csr", get_false, nullptr,
                       "True if the layout is sparse_csr; False for dense tensors."),
    FLAMBEAU_ATTRIBUTE("is_mkldnn", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_mps", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_xpu", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_sparse", get_false, nullptr, "True if the layout is sparse_coo; False for dense tensors."),
    FLAMBEAU_ATTRIBUTE("is_quantized", get_false, nullptr, "Always False."),
    FLAMBEAU_ATTRIBUTE("is_meta", get_is_meta, nullptr,
                       "True if the tensor is on the meta device: it has a shape and a dtype, but no elements."),
    {}};
#undef FLAMBEAU_ATTRIBUTE

}  // namespace flambeau::python
