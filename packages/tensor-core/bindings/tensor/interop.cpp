// Memory shared with NumPy arrays and by the buffer protocol.
#include <pybind11/numpy.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "calls/bind.h"
#include "calls/define.h"
#include "calls/extension_watch.h"
#include "calls/warning.h"
#include "flambeau/checksum.h"
#include "flambeau/kept_values.h"
#include "flambeau/scalar_type.h"

namespace py = pybind11;

namespace flambeau::python {

namespace {

// Returns the format code that the module struct uses for a dtype, or null for bfloat16 and small floats, which have no
// code.
const char* format_of(Dtype d) {
  constexpr const char* letters[kDtypeCount] = {"?", "B", "b",     "h", "i", "q",  "H", "I",
                                                "Q", "e", nullptr, "f", "d", "Zf", "Zd"};
  return letters[int(d)];
}

void require_format(Dtype d) {
  require<TypeError>(format_of(d), "Got unsupported ScalarType ", scalar_type(d),
                     ": it has no NumPy or buffer equivalent; convert with .float() first");
}

constexpr const char* kSupportedTypes =
    ". The only supported types are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
    "uint64, uint32, uint16, uint8, and bool. Convert the array first, as in array.astype('float32').";

Dtype dtype_from_format(const char* format, Py_ssize_t size, PyObject* exporter) {
  std::string_view f = format ? format : "B";
  const char order = f.empty() ? '@' : f[0];
  const bool foreign = order == '>' || order == '!';
  if (order == '@' || order == '=' || order == '<' || foreign) f.remove_prefix(1);
  const char letter = f.size() == 1 ? f[0] : 0;
  if (f == "Zf" && !foreign) return Dtype::complex64;
  if (f == "Zd" && !foreign) return Dtype::complex128;
  if (!foreign || size == 1) {
    if (letter == '?') return Dtype::bool_;
    if (letter == 'e') return Dtype::float16;
    if (letter == 'f') return Dtype::float32;
    if (letter == 'd') return Dtype::float64;
    if (letter && std::strchr("bhilqn", letter)) {
      if (size == 1) return Dtype::int8;
      if (size == 2) return Dtype::int16;
      return size == 4 ? Dtype::int32 : Dtype::int64;
    }
    if (letter && std::strchr("BHILQN", letter)) {
      if (size == 1) return Dtype::uint8;
      if (size == 2) return Dtype::uint16;
      return size == 4 ? Dtype::uint32 : Dtype::uint64;
    }
  }
  require<ValueError>(
      !foreign, "the array's element format '", format ? format : "",
      "' is not of the machine's byte order; convert it with array.astype(array.dtype.newbyteorder('='))");
  detail::raise<TypeError>("can't convert ", Py_TYPE(exporter)->tp_name, " with element format '", format ? format : "",
                           "'", kSupportedTypes);
}

// The deleters of storages that own Python objects. They may run in any thread, so they acquire the GIL.
void release_py_buffer(void* context) {
  const PyGILState_STATE state = PyGILState_Ensure();
  Py_buffer* view = static_cast<Py_buffer*>(context);
  PyBuffer_Release(view);
  delete view;
  PyGILState_Release(state);
}
void release_object(void* context) {
  const PyGILState_STATE state = PyGILState_Ensure();
  Py_DECREF(static_cast<PyObject*>(context));
  PyGILState_Release(state);
}

// The data of an exported buffer. It stays valid if the tensor changes or is destroyed.
struct BufferExport {
  Ref<Storage> storage;
  Shape shape, strides;  // strides in bytes
};
static_assert(sizeof(Py_ssize_t) == sizeof(int64_t));

Tensor transposed(const Tensor& t) {
  NoRecording off;
  Shape order;
  for (int i = t.dim() - 1; i >= 0; --i) order.push_back(i);
  return permute(t, order);
}

[[noreturn]] void reject_buffer(const char* why) {
  PyErr_SetString(PyExc_BufferError, why);
  throw PythonError();
}

// Returns true if the elements have the order in memory that the flags of a buffer request.
bool has_requested_order(const Tensor& t, int flags) {
  const auto asks = [&](int order) { return bool(flags & order & ~PyBUF_STRIDES); };
  if (!asks(PyBUF_C_CONTIGUOUS | PyBUF_F_CONTIGUOUS | PyBUF_ANY_CONTIGUOUS)) return true;
  const bool by_rows = t.is_contiguous(), by_columns = t.dim() < 2 ? by_rows : transposed(t).is_contiguous();
  return (by_rows || !asks(PyBUF_C_CONTIGUOUS)) && (by_columns || !asks(PyBUF_F_CONTIGUOUS)) &&
         (by_rows || by_columns || !asks(PyBUF_ANY_CONTIGUOUS));
}

// Raises an error for tensors that require a gradient, because operations on an array are not recorded.
void check_not_recorded(const Tensor& t) {
  require(!(t.requires_grad() && grad_enabled()),
          "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
}

void check_buffer(const Tensor& t, int flags) {
  require_format(t.dtype());
  check_not_recorded(t);
  if (!has_requested_order(t, flags)) reject_buffer("the tensor is not contiguous in the requested order");
  if (t.is_meta()) reject_buffer("a tensor on the meta device has no memory to share");
  if (t.device().type != DeviceType::Cpu)
    reject_buffer("the tensor is in the memory of a GPU; use .cpu() to copy it to the CPU");
  const bool wants_write = (flags & PyBUF_WRITABLE) == PyBUF_WRITABLE;
  if (wants_write && !t.storage().writable()) reject_buffer("the tensor's memory is read-only");
  if (!t.is_contiguous() && (flags & PyBUF_STRIDES) != PyBUF_STRIDES) reject_buffer("the tensor is not contiguous");
}

void fill_buffer(const Tensor& t, Py_buffer* view, int flags) {
  auto exported = std::make_unique<BufferExport>(
      BufferExport{t.impl()->storage, t.shape(), t.is_contiguous() ? contiguous_strides(t.shape()) : t.strides()});
  for (int64_t& stride : exported->strides) stride *= item_size(t.dtype());
  count_uncounted_change();
  view->buf = t.bytes();
  view->len = Py_ssize_t(t.numel() * item_size(t.dtype()));
  view->itemsize = Py_ssize_t(item_size(t.dtype()));
  view->readonly = !t.storage().writable();
  view->ndim = t.dim();
  view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format_of(t.dtype())) : nullptr;
  view->shape = (flags & PyBUF_ND) == PyBUF_ND ? reinterpret_cast<Py_ssize_t*>(exported->shape.data()) : nullptr;
  view->strides =
      (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? reinterpret_cast<Py_ssize_t*>(exported->strides.data()) : nullptr;
  view->suboffsets = nullptr;
  view->internal = exported.release();
}

}  // namespace

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded<int>(-1, [&]() -> int {
    if (!is_tensor(self)) reject_buffer("a tensor inside vmap has no memory that can be exported");
    check_buffer(tensor_of(self), flags);
    note_exported(self);
    fill_buffer(tensor_of(self), view, flags);
    view->obj = Py_NewRef(self);
    return 0;
  });
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<BufferExport*>(view->internal); }

namespace {

struct Memory {  // memory that another object owns, as a strided array
  void* data;
  Dtype dtype;
  int dims;
  const Py_ssize_t *shape, *strides;  // strides in bytes
  bool writable;
};
using Owner = std::unique_ptr<void, void (*)(void*)>;

Tensor tensor_over(const Memory& memory, Owner owner) {
  const int64_t size = item_size(memory.dtype);
  const int shift = std::countr_zero(uint64_t(size));
  require<ValueError>(memory.dims <= kMaxDims, "too many dimensions: ", memory.dims);
  Shape shape, strides;
  bool empty = false;
  int64_t reach = size;
  for (int i = 0; i < memory.dims; ++i) {
    const int64_t stride = memory.strides[i];
    require<ValueError>(stride >= 0,
                        "At least one stride in the given numpy array is negative, and tensors with negative strides "
                        "are not currently supported. "
                        "(You can probably work around this by making a copy of your array with array.copy().)");
    require<ValueError>((stride & (size - 1)) == 0,
                        "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
                        "reallocate the memory.");
    shape.push_back(memory.shape[i]);
    strides.push_back(stride >> shift);
    empty |= memory.shape[i] == 0;
    reach += (memory.shape[i] - 1) * stride;
  }
  require<ValueError>((reinterpret_cast<uintptr_t>(memory.data) & uintptr_t(size - 1)) == 0,
                      "the array's memory is not aligned for ", memory.dtype, "; pass a copy of it");
  Ref<Storage> storage =
      Storage::wrap(memory.data, empty ? 0 : size_t(reach), owner.get_deleter(), owner.get(), memory.writable);
  owner.release();
  return from_storage(std::move(storage), shape, strides, 0, memory.dtype);
}

// For each dtype: the NumPy dtype object and its type number.
struct NumpyTypes {
  py::object of[kDtypeCount];  // None for bfloat16 and small floats
  int number[kDtypeCount];
};
const NumpyTypes& numpy_types() {
  static std::atomic<NumpyTypes*> types{nullptr};
  return *made_once(types, [] {
    auto* made = new NumpyTypes();
    for (int d = 0; d < kDtypeCount; ++d) {
      made->number[d] = -1;
      if (!format_of(Dtype(d))) continue;
      const py::dtype type{std::string(name(Dtype(d)))};
      made->number[d] = type.num();
      made->of[d] = type;
    }
    return made;
  });
}

// Returns a tensor that uses the memory of a NumPy array, or an undefined tensor if no dtype matches the elements. This
// is faster than the buffer protocol.
Tensor tensor_over_array(PyObject* o) {
  const py::array array = py::reinterpret_borrow<py::array>(o);
  const py::dtype type = array.dtype();
  const char order = type.byteorder();
  if (order != '=' && order != '|') return Tensor();
  const int* const numbers = numpy_types().number;
  const int* const found = std::find(numbers, numbers + kDtypeCount, type.num());
  if (found == numbers + kDtypeCount) return Tensor();
  const Memory memory{const_cast<void*>(array.data()),
                      Dtype(found - numbers),
                      int(array.ndim()),
                      array.shape(),
                      array.strides(),
                      array.writeable()};
  return tensor_over(memory, Owner(Py_NewRef(o), release_object));
}

// Raises TypeError for dates and texts of NumPy. NumPy exports a scalar of these types as bytes, which look
// like integers, and does not export an array of dates.
void require_numbers(PyObject* exporter) {
  const Object dtype(PyObject_GetAttrString(exporter, "dtype"));
  const Object kind(dtype ? PyObject_GetAttrString(dtype.get(), "kind") : nullptr);
  if (!kind) return PyErr_Clear();  // not an object of NumPy
  if (!PyUnicode_Check(kind.get()) || PyUnicode_GET_LENGTH(kind.get()) != 1) return;
  if (!std::strchr("mMSU", int(PyUnicode_READ_CHAR(kind.get(), 0)))) return;
  const Object name(checked(PyObject_Str(dtype.get())));
  detail::raise<TypeError>("can't convert ", Py_TYPE(exporter)->tp_name, " of dtype ", text_of(name.get()),
                           kSupportedTypes);
}

}  // namespace

Tensor tensor_from_buffer(PyObject* exporter) {
  if (py::isinstance<py::array>(exporter))
    if (Tensor t = tensor_over_array(exporter)) return t;
  require_numbers(exporter);
  auto view = std::make_unique<Py_buffer>();
  bool writable = true;
  if (PyObject_GetBuffer(exporter, view.get(), PyBUF_RECORDS) < 0) {
    PyErr_Clear();
    writable = false;
    if (PyObject_GetBuffer(exporter, view.get(), PyBUF_RECORDS_RO) < 0) throw PythonError();
  }
  const Py_buffer& v = *view;
  Owner owner(view.release(), release_py_buffer);
  const Dtype dtype = dtype_from_format(v.format, v.itemsize, exporter);
  const Py_ssize_t one_dimension = v.len / v.itemsize;
  const Memory memory{v.buf,
                      dtype,
                      v.ndim,
                      v.shape ? v.shape : &one_dimension,
                      v.strides ? v.strides : &v.itemsize,
                      writable && !v.readonly};
  return tensor_over(memory, std::move(owner));
}

namespace {

PyObject* to_numpy(const Tensor& t, bool force) {
  if (force && t.is_cuda()) return to_numpy(to(detach(t), DeviceType::Cpu), true);
  require<TypeError>(t.device() == DeviceType::Cpu, "can't convert ", t.device(),
                     " device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.");
  if (!force) check_not_recorded(t);
  require_format(t.dtype());
  const Object owner(checked(wrap_tensor(detach(t))));  // not `t` itself, because its memory may be replaced
  if (!t.storage().writable()) {                        // the buffer protocol makes the array read-only
    const py::object asarray = py::module_::import("numpy").attr("asarray");
    return PyObject_CallOneArg(asarray.ptr(), owner.get());
  }
  count_uncounted_change();
  Shape strides = t.is_contiguous() ? contiguous_strides(t.shape()) : t.strides();
  for (int64_t& stride : strides) stride *= item_size(t.dtype());
  const py::dtype type = py::reinterpret_borrow<py::dtype>(numpy_types().of[int(t.dtype())]);
  return py::array(type, py::array::ShapeContainer(t.shape().begin(), t.shape().end()),
                   py::array::StridesContainer(strides.begin(), strides.end()), t.bytes(), owner.get())
      .release()
      .ptr();
}

}  // namespace

namespace {

constexpr const char kReadOnlyBuffer[] =
    "The given buffer is not writable, and neither is the tensor: operations that change it raise an error. Pass a "
    "writable buffer, such as a bytearray, or clone() the tensor.";

Tensor elements_of_buffer(PyObject* buffer, Dtype dtype, int64_t count, int64_t offset) {
  require<ValueError>(PyObject_CheckBuffer(buffer),
                      "object does not implement Python buffer protocol: ", Py_TYPE(buffer)->tp_name);
  const Object bytes(checked(PyMemoryView_FromObject(buffer)));
  const Object flat(checked(PyObject_CallMethod(bytes.get(), "cast", "s", "B")));
  const Tensor raw = tensor_from_buffer(flat.get());
  const int64_t size = item_size(dtype), available = raw.numel() - offset;
  require<ValueError>(raw.numel() == 0 || (offset >= 0 && offset < raw.numel()), "offset (", offset,
                      " bytes) must be non-negative and less than buffer length (", raw.numel(), " bytes)");
  require<ValueError>(raw.numel() > 0 && count != 0, "both buffer length (", raw.numel(), ") and count (", count,
                      ") must not be 0");
  if (count < 0) {
    require<ValueError>(available % size == 0, "buffer length (", available, " bytes) after offset (", offset,
                        " bytes) must be a multiple of element size (", size, ")");
    count = available / size;
  }
  require<ValueError>(count <= available / size, "requested buffer length (", count, " * ", size,
                      " bytes) after offset (", offset, " bytes) must not be greater than actual buffer length (",
                      raw.numel(), " bytes)");
  require<ValueError>(reinterpret_cast<size_t>(raw.bytes() + offset) % size_t(size) == 0,
                      "frombuffer: the memory at offset ", offset, " is not aligned for ", dtype);
  return from_storage(
      Storage::wrap(
          raw.bytes() + offset, size_t(count * size), [](void* context) { static_cast<Storage*>(context)->release(); },
          Ref<Storage>(raw.impl()->storage).detach(), raw.storage().writable()),
      {count}, {1}, 0, dtype);
}

}  // namespace

void bind_interop() {
  def("numpy(input, *, force=False)", kMethod,
      "Return a NumPy array that shares the memory of the tensor.\n\nRaises RuntimeError for a tensor that requires "
      "grad (force=True detaches it), TypeError for bfloat16.",
      to_numpy);
  def("from_numpy(ndarray)", kFunction,
      "Return a tensor that shares the memory of a NumPy array (or any exporter of the buffer protocol).\n\nA change "
      "of one changes the other. A read-only array gives a read-only tensor.\nRaises TypeError for element types "
      "without an equivalent, ValueError for negative strides.",
      [](PyObject* array) {
        const bool numbers = PyList_Check(array) || PyTuple_Check(array) || PyFloat_Check(array) || PyLong_Check(array);
        require<TypeError>(PyObject_CheckBuffer(array), "expected np.ndarray (got ", Py_TYPE(array)->tp_name, ")",
                           numbers ? "; use flambeau.tensor() for numbers and lists" : "");
        return tensor_from_buffer(array);
      });
  def("_crc32(data, start=0)", kPrivate, "Return the CRC-32 of a contiguous buffer that follows bytes of CRC `start`.",
      [](PyObject* data, int64_t start) {
        constexpr size_t kPiece = size_t(1) << 26;  // bytes between checks for signals
        struct View : Py_buffer {
          explicit View(PyObject* data) {
            if (PyObject_GetBuffer(data, this, PyBUF_SIMPLE) != 0) throw PythonError();
          }
          ~View() { PyBuffer_Release(this); }
        } view(data);
        const GilRelease release(view.len > kGilGrain);
        uint32_t crc = uint32_t(start);
        for (size_t at = 0; at < size_t(view.len); at += kPiece) {
          poll_signals();
          crc = crc32(static_cast<const char*>(view.buf) + at, std::min(kPiece, size_t(view.len) - at), crc);
        }
        return int64_t(crc);
      });
  def("frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False)", kFunction,
      "Return a one-dimensional tensor that shares the memory of a buffer: `count` elements (-1: all) from byte "
      "`offset`. Warns if the buffer, and so the tensor, is read-only.",
      [](PyObject* buffer, Dtype dtype, int64_t count, int64_t offset, bool requires_grad) {
        const Tensor t = elements_of_buffer(buffer, dtype, count, offset);
        if (!t.storage().writable()) warn_once(kReadOnlyBuffer);
        return with_grad(t, requires_grad);
      });
  def("_frombuffer(buffer, dtype, count=-1, offset=0)", kPrivate, "Call `frombuffer` without a warning.",
      elements_of_buffer);
}

}  // namespace flambeau::python
