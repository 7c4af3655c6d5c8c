// Memory shared with other libraries by DLPack and by the CUDA array interface.
#include "tensor/dlpack.h"
#include "flambeau/kept_values.h"

#include <algorithm>

#include "calls/bind.h"
#include "flambeau/cuda.h"

namespace flambeau::python {

namespace {

DLDataType dlpack_type(Dtype d) {
#define FLAMBEAU_SMALL_FLOAT(name, ...) \
  if (d == Dtype::name) return {kDL_##name, 8, 1};
  FLAMBEAU_SMALL_FLOATS(FLAMBEAU_SMALL_FLOAT)
#undef FLAMBEAU_SMALL_FLOAT
  uint8_t code = category(d) == Category::Floating ? kDLFloat : kDLInt;
  if (is_unsigned(d)) code = kDLUInt;
  if (d == Dtype::bool_) code = kDLBool;
  if (d == Dtype::bfloat16) code = kDLBfloat;
  if (is_complex(d)) code = kDLComplex;
  return {code, uint8_t(item_size(d) * 8), 1};
}

Dtype dtype_from_dlpack(DLDataType type) {
  for (int i = 0; i < kDtypeCount; ++i) {
    const DLDataType own = dlpack_type(Dtype(i));
    if (own.code == type.code && own.bits == type.bits && type.lanes == 1) return Dtype(i);
  }
  detail::raise<TypeError>("from_dlpack: unsupported element type (code ", int(type.code), ", ", int(type.bits),
                           " bits, ", type.lanes, " lanes)");
}

DLDevice device_of(const Tensor& t) { return t.is_cuda() ? DLDevice{kDLCUDA, t.device().index} : DLDevice{kDLCPU, 0}; }

// Streams are integers in both protocols. 1 and None mean the default stream.
constexpr int64_t kDefaultStream = 1, kNoStream = -1;
int64_t number_of(cuda::StreamHandle* stream) { return stream ? reinterpret_cast<int64_t>(stream) : kDefaultStream; }
cuda::StreamHandle* stream_of(int64_t number) {
  return number == 0 || number == kDefaultStream ? nullptr : reinterpret_cast<cuda::StreamHandle*>(number);
}

// Makes `later` wait for all work that is now in `earlier`.
void order(int device, cuda::StreamHandle* earlier, cuda::StreamHandle* later) {
  if (earlier == later) return;
  cuda::EventHandle* event = cuda::create_event(device, false);
  cuda::record_event(device, event, earlier);
  cuda::wait_event(device, later, event);
  cuda::destroy_event(device, event);
}

int64_t stream_number(PyObject* stream) {
  if (stream == Py_None) return kDefaultStream;
  const int64_t number = PyLong_AsLongLong(stream);
  if (number == -1 && PyErr_Occurred()) throw PythonError();
  return number;
}

// The manager context of an exported tensor. It owns a reference to the memory, and the sizes and strides that the
// consumer reads.
template <class Managed>
struct Export {
  Managed managed;
  Ref<Storage> storage;
  Shape shape, strides;
};

template <class Managed>
Managed* make_export(const Tensor& t) {
  auto* e = new Export<Managed>{{}, t.impl()->storage, t.shape(), t.strides()};
  count_uncounted_change();
  DLTensor& dl = e->managed.dl_tensor;
  dl.data = !t.numel() ? nullptr : t.is_cuda() ? t.device_bytes() : t.bytes();
  dl.device = device_of(t);
  dl.ndim = t.dim();
  dl.dtype = dlpack_type(t.dtype());
  dl.shape = e->shape.data();
  dl.strides = e->strides.data();
  dl.byte_offset = 0;
  e->managed.manager_ctx = e;
  e->managed.deleter = [](Managed* m) { delete static_cast<Export<Managed>*>(m->manager_ctx); };
  return &e->managed;
}

template <class Managed>
void drop_capsule(PyObject* capsule, const char* name) {  // destructor of a capsule that no consumer has used
  if (!PyCapsule_IsValid(capsule, name)) return;
  auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
  if (m && m->deleter) m->deleter(m);
}

// Returns the number of bytes from the first element to the end of the last. Raises an error for negative sizes or
// strides.
int64_t reach_of(const Shape& shape, const Shape& strides, Dtype dtype) {
  int64_t reach = item_size(dtype);
  for (size_t i = 0; i < shape.size(); ++i) {
    require<ValueError>(shape[i] >= 0, "from_dlpack: negative size in ", shape);
    require<ValueError>(strides[i] >= 0, "from_dlpack: negative strides are not supported");
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  for (size_t i = 0; i < shape.size(); ++i) reach += (shape[i] - 1) * strides[i] * item_size(dtype);
  return reach;
}

Device device_from_dlpack(const DLDevice& d) {
  const bool on_gpu = d.device_type == kDLCUDA;
  require<NotImplementedError>(on_gpu || d.device_type == kDLCPU || d.device_type == kDLCUDAHost,
                               "from_dlpack: only memory of the CPU and of NVIDIA's GPUs can be imported, got device "
                               "type ",
                               int(d.device_type));
  if (!on_gpu) return Device();
  cuda::properties(d.device_id);
  return Device(DeviceType::Cuda, d.device_id);
}

// Imports a tensor. Takes ownership of the capsule's contents only after all checks have succeeded.
template <class Managed>
Tensor import_managed(PyObject* capsule, const char* used_name, Managed* m, bool read_only) {
  const DLTensor& dl = m->dl_tensor;
  const Device device = device_from_dlpack(dl.device);
  const Dtype dtype = dtype_from_dlpack(dl.dtype);
  require<ValueError>(dl.ndim >= 0 && dl.ndim <= kMaxDims, "from_dlpack: ", dl.ndim, " dimensions are not supported");
  const Shape shape(dl.shape, dl.shape + dl.ndim);
  const Shape strides = dl.strides ? Shape(dl.strides, dl.strides + dl.ndim) : contiguous_strides(shape);
  char* data = static_cast<char*>(dl.data) + dl.byte_offset;
  require<ValueError>(reinterpret_cast<size_t>(data) % size_t(item_size(dtype)) == 0,
                      "from_dlpack: the memory is not aligned for ", dtype);
  const int64_t reach = reach_of(shape, strides, dtype);
  Tensor t = from_storage(Storage::create(0), shape, strides, 0, dtype);
  t.impl()->storage = Storage::wrap(
      data, size_t(reach),
      [](void* context) {
        auto* managed = static_cast<Managed*>(context);
        const PyGILState_STATE state = PyGILState_Ensure();
        if (managed->deleter) managed->deleter(managed);
        PyGILState_Release(state);
      },
      m, !read_only, device);
  PyCapsule_SetName(capsule, used_name);
  return t;
}

constexpr const char kVersioned[] = "dltensor_versioned", kPlain[] = "dltensor";

[[noreturn]] void reject_export(const char* text) {
  PyErr_SetString(PyExc_BufferError, text);
  throw PythonError();
}

PyObject* export_dlpack(const Tensor& t, PyObject* stream, PyObject* max_version, PyObject* device, PyObject* copy) {
  if (t.requires_grad()) reject_export("Can't export tensors that require gradient, use tensor.detach()");
  if (t.is_meta()) reject_export("Cannot pack tensors on meta");
  require<TypeError>(stream == Py_None || PyLong_Check(stream), "__dlpack__: stream must be int or None, got ",
                     Py_TYPE(stream)->tp_name);
  int major = 0, minor = 0;
  for (PyObject* pair : {max_version, device})
    require<TypeError>(pair == Py_None || PyTuple_Check(pair), "__dlpack__: max_version and dl_device must be pairs");
  if (max_version != Py_None && !PyArg_ParseTuple(max_version, "i|i", &major, &minor)) throw PythonError();
  if (device != Py_None) {
    int type = kDLCPU, id = 0;
    if (!PyArg_ParseTuple(device, "ii", &type, &id)) throw PythonError();
    if (type == kDLCPU && t.is_cuda() && copy != Py_False)
      return export_dlpack(to(t, DeviceType::Cpu), Py_None, max_version, device, Py_False);
    if (type != device_of(t).device_type || id != device_of(t).device_id)
      reject_export("__dlpack__: the tensor is not on the device given by dl_device");
  }
  const Tensor out = copy == Py_True ? clone(t) : t;
  if (const int64_t number = t.is_cuda() ? stream_number(stream) : kNoStream; number != kNoStream)
    order(t.device().index, cuda::current_stream(t.device().index), stream_of(number));
  if (major >= 1) {
    auto* m = make_export<DLManagedTensorVersioned>(out);
    m->version = {1, 1};
    m->flags = (out.storage().writable() ? 0 : kReadOnlyFlag) | (copy == Py_True ? kCopiedFlag : 0);
    return PyCapsule_New(m, kVersioned, [](PyObject* c) { drop_capsule<DLManagedTensorVersioned>(c, kVersioned); });
  }
  if (!out.storage().writable())
    reject_export("__dlpack__: read-only memory needs DLPack 1.0; pass max_version=(1, 0)");
  return PyCapsule_New(make_export<DLManagedTensor>(out), kPlain,
                       [](PyObject* c) { drop_capsule<DLManagedTensor>(c, kPlain); });
}

// Tells the exporter of GPU memory on which stream the memory will be used.
void add_stream_argument(PyObject* source, PyObject* kwargs) {
  if (!cuda::is_available() || !PyObject_HasAttrString(source, "__dlpack_device__")) return;
  const Object device(checked(PyObject_CallMethod(source, "__dlpack_device__", nullptr)));
  int type = kDLCPU, id = 0;
  if (!PyArg_ParseTuple(device.get(), "ii", &type, &id)) throw PythonError();
  if (type != kDLCUDA) return;
  const Object stream(checked(PyLong_FromLongLong(number_of(cuda::current_stream(id)))));
  if (PyDict_SetItemString(kwargs, "stream", stream.get()) < 0) throw PythonError();
}

}  // namespace

Tensor import_dlpack(PyObject* source) {
  Object capsule;
  if (PyCapsule_CheckExact(source)) {
    capsule = Object(Py_NewRef(source));
  } else {
    require<TypeError>(PyObject_HasAttrString(source, "__dlpack__"),
                       "from_dlpack: expected an object with __dlpack__ or a DLPack capsule, got ",
                       Py_TYPE(source)->tp_name);
    const Object method(checked(PyObject_GetAttrString(source, "__dlpack__")));
    const Object kwargs(checked(Py_BuildValue("{s:(ii)}", "max_version", 1, 1))), none(checked(PyTuple_New(0)));
    add_stream_argument(source, kwargs.get());
    capsule = Object(PyObject_Call(method.get(), none.get(), kwargs.get()));
    if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {  // an exporter that predates DLPack 1.0
      PyErr_Clear();
      capsule = Object(PyObject_CallNoArgs(method.get()));
    }
    checked(capsule.get());
  }
  if (PyCapsule_IsValid(capsule.get(), kVersioned)) {
    auto* m = static_cast<DLManagedTensorVersioned*>(PyCapsule_GetPointer(capsule.get(), kVersioned));
    require<NotImplementedError>(m->version.major == 1, "from_dlpack: DLPack version ", m->version.major,
                                 " is not supported");
    return import_managed(capsule.get(), "used_dltensor_versioned", m, m->flags & kReadOnlyFlag);
  }
  require<ValueError>(PyCapsule_IsValid(capsule.get(), kPlain),
                      "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, "
                      "so you might have already constructed a tensor from it once.");
  auto* m = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.get(), kPlain));
  return import_managed(capsule.get(), "used_dltensor", m, false);
}

namespace {

// __cuda_array_interface__, version 3: https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html
PyObject* describe_memory(const Tensor& t) {
  constexpr const char* kTypes[kDtypeCount] = {"|b1", "|u1", "|i1",   "<i2", "<i4", "<i8", "<u2", "<u4",
                                               "<u8", "<f2", nullptr, "<f4", "<f8", "<c8", "<c16"};
  if (!t.is_cuda()) {
    PyErr_SetString(
        PyExc_AttributeError,
        "Can't get __cuda_array_interface__ on a tensor that is not on a GPU; use .cuda() to copy it to the GPU");
    throw PythonError();
  }
  require(!t.requires_grad(),
          "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't required, use "
          "var.detach() to get Variable that doesn't require grad.");
  const char* type = kTypes[int(t.dtype())];
  require<TypeError>(type, "__cuda_array_interface__ does not support ", t.dtype(), "; use DLPack instead");
  const auto tuple_of = [](const Shape& values, int64_t unit) {
    Object out(checked(PyTuple_New(Py_ssize_t(values.size()))));
    for (size_t i = 0; i < values.size(); ++i)
      PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(PyLong_FromLongLong(values[i] * unit)));
    return out;
  };
  const Object shape = tuple_of(t.shape(), 1);
  const Object strides = t.is_contiguous() ? Object(Py_NewRef(Py_None)) : tuple_of(t.strides(), item_size(t.dtype()));
  const long long address = t.numel() ? reinterpret_cast<long long>(t.device_bytes()) : 0;
  return checked(Py_BuildValue("{s:O,s:s,s:O,s:(LO),s:i,s:L}", "shape", shape.get(), "typestr", type, "strides",
                               strides.get(), "data", address, t.storage().writable() ? Py_False : Py_True, "version",
                               3, "stream", (long long)number_of(cuda::current_stream(t.device().index))));
}

// Returns a tensor that uses memory of a GPU, which `owner` keeps alive. Strides are in elements.
Tensor wrap_gpu_memory(PyObject* owner, int64_t address, const Shape& shape, const Shape& strides, Dtype dtype,
                       int64_t device, bool writable, PyObject* stream) {
  cuda::properties(int(device));
  require<ValueError>(address % item_size(dtype) == 0, "the memory is not aligned for ", dtype);
  if (stream != Py_None) order(int(device), stream_of(stream_number(stream)), cuda::current_stream(int(device)));
  int64_t reach = product(shape) == 0 ? 0 : item_size(dtype);
  for (size_t i = 0; reach > 0 && i < shape.size(); ++i) {
    require<ValueError>(strides[i] >= 0, "negative strides are not supported");
    reach += (shape[i] - 1) * strides[i] * item_size(dtype);
  }
  Ref<Storage> storage = Storage::wrap(
      reinterpret_cast<void*>(address), size_t(reach),
      [](void* context) {
        const PyGILState_STATE state = PyGILState_Ensure();
        Py_DECREF(static_cast<PyObject*>(context));
        PyGILState_Release(state);
      },
      Py_NewRef(owner), writable, Device(DeviceType::Cuda, int(device)));
  return from_storage(std::move(storage), shape, strides, 0, dtype);
}

}  // namespace

bool has_gpu_memory(PyObject* o) {
  return !is_tensor(o) && !PyList_CheckExact(o) && !PyTuple_CheckExact(o) && !PyFloat_CheckExact(o) &&
         !PyLong_Check(o) && !PyObject_CheckBuffer(o) && PyObject_HasAttrString(o, "__cuda_array_interface__");
}
Tensor tensor_from_gpu_memory(PyObject* o) {
  const Object module(checked(PyImport_ImportModule("flambeau._gpu_arrays")));
  const Object made(checked(PyObject_CallMethod(module.get(), "from_interface", "O", o)));
  return tensor_of(made.get());
}

void bind_dlpack() {
  def("_cuda_array_interface(input)", kPrivate, "Return the value of Tensor.__cuda_array_interface__.",
      describe_memory);
  def("_cuda_wrap(owner, address, shape, strides, dtype, device, writable, stream)", kPrivate,
      "Return a tensor that shares GPU memory, which the owner keeps alive.", wrap_gpu_memory);
  def("_cuda_device_of(address)", kPrivate, "Return the index of the GPU that the address belongs to.",
      [](int64_t address) { return int64_t(cuda::device_of(address)); });
  def("__dlpack__(input, *, stream=None, max_version=None, dl_device=None, copy=None)", kMethod,
      "Return a DLPack capsule of this tensor: a versioned capsule if the consumer supports DLPack 1.0.",
      export_dlpack);
  def("__dlpack_device__(input)", kMethod, "Return the DLPack device: (1, 0) is the CPU, (2, n) is the GPU n.",
      [](const Tensor& t) {
        return Py_BuildValue("(ii)", int(device_of(t).device_type), int(device_of(t).device_id));
      });
  def("from_dlpack(ext_tensor, *, device=None, copy=None)", kFunction,
      "Return a tensor that shares the memory of a DLPack capsule or of an object with __dlpack__. copy=True copies "
      "it.",
      [](PyObject* source, Placement placement, std::optional<bool> copy) {
        const Tensor given = import_dlpack(source), t = to(given, placement.like(given));
        return copy.value_or(false) && !t.is_meta() ? clone(t) : t;
      });
  def("to_dlpack(input)", kFunction,
      "Return a DLPack capsule of the tensor, for libraries without support for __dlpack__.",
      [](const Tensor& t) { return export_dlpack(t, Py_None, Py_None, Py_None, Py_None); });
}

}  // namespace flambeau::python
