// Conversions of a tensor to another dtype, device or memory format.
#include "calls/bind.h"
#include "calls/warning.h"
#include "flambeau/cuda.h"
#include "tensor/devices.h"

namespace flambeau::python {

namespace {

constexpr const char* kName = "to";

// The positional arguments of to(): (dtype | other | [device, [dtype]], non_blocking, copy).
struct ToArguments {
  std::optional<Dtype> dtype;
  std::optional<Device> device;
  bool non_blocking = false, copy = false;
};

bool is_dtype(PyObject* o) {
  return Py_TYPE(o) == dtype_type || o == reinterpret_cast<PyObject*>(&PyFloat_Type) ||
         o == reinterpret_cast<PyObject*>(&PyLong_Type) || o == reinterpret_cast<PyObject*>(&PyComplex_Type) ||
         o == reinterpret_cast<PyObject*>(&PyBool_Type);
}

ToArguments read_positional(PyObject* packed) {
  static const Parameter names[] = {{PyUnicode_InternFromString("dtype")},
                                    {PyUnicode_InternFromString("device")},
                                    {PyUnicode_InternFromString("non_blocking")},
                                    {PyUnicode_InternFromString("copy")}};
  ToArguments wanted;
  if (packed == Py_None) return wanted;
  PyObject* const* items = PyTuple_Check(packed) ? PySequence_Fast_ITEMS(packed) : &packed;
  const Py_ssize_t count = PyTuple_Check(packed) ? PyTuple_GET_SIZE(packed) : 1;
  Py_ssize_t next = 0;
  if (count > 0 && is_tensor(items[0])) {
    const Tensor& other = tensor_of(items[next++]);
    wanted.dtype = other.dtype(), wanted.device = other.device();
  } else if (count > 0 && is_dtype(items[0])) {
    wanted.dtype = From<Dtype>::get({kName, &names[0], 0}, items[next++]);
  } else if (count > 0 && !names_device(items[0])) {
    wrong_argument({kName, &names[0], 0}, "flambeau.dtype, flambeau.device, str or Tensor", items[0]);
  } else if (count > 0) {
    wanted.device = From<Placement>::get({kName, &names[1], 0}, items[next++]).given;
    if (next < count && items[next] != Py_True && items[next] != Py_False)
      wanted.dtype = From<std::optional<Dtype>>::get({kName, &names[0], int(next)}, items[next]), ++next;
  }
  if (next < count) wanted.non_blocking = From<bool>::get({kName, &names[2], int(next)}, items[next]), ++next;
  if (next < count) wanted.copy = From<bool>::get({kName, &names[3], int(next)}, items[next]), ++next;
  require<TypeError>(next == count, "to() takes (dtype | other | device, dtype), non_blocking and copy, but got ",
                     count, " positional arguments");
  return wanted;
}

// Returns the tensor itself if it already has the device, dtype and memory format and no copy is requested.
PyObject* converted(Self self, Device device, Dtype dtype, bool copy, std::optional<MemoryFormat> format) {
  const Tensor &own = tensor_of(self), t = to(own, device);
  const OnDevice scope(device);
  const MemoryFormat wanted = format.value_or(MemoryFormat::Preserve);
  if (is_complex(own.dtype()) && !is_complex(dtype) && dtype != Dtype::bool_)
    warn(
        "Casting complex values to real discards the imaginary part; use .real to take the real part without this "
        "warning");
  const bool in_order = wanted == MemoryFormat::Preserve || is_contiguous(t, wanted);
  if (t.same(own) && t.dtype() == dtype && in_order && !copy) return Py_NewRef(self);
  const Tensor out = t.dtype() == dtype ? t : to(t, dtype, wanted);
  return wrap_tensor(out.same(own) || (out.same(t) && !in_order) ? clone(out, wanted) : out);
}

template <Dtype dtype>
void bind_as(const char* name) {
  std::string signature = name;
  signature += "(input, memory_format=None)";
  def(signature, kMethod,
      "Convert the tensor to the dtype. Return the tensor itself if it has this dtype. Gradient: converted back.",
      [](Self self, std::optional<MemoryFormat> format) {
        return converted(self, tensor_of(self).device(), dtype, false, format);
      });
}

}  // namespace

void bind_conversion() {
  def("contiguous(input, *, memory_format=None)", kMethod,
      "Return a contiguous copy in the memory format, or the tensor itself if it is contiguous.",
      [](Self self, std::optional<MemoryFormat> format) -> PyObject* {
        const Tensor& t = tensor_of(self);
        if (!format && t.is_contiguous()) return Py_NewRef(self);
        return wrap_tensor(contiguous(t, format.value_or(MemoryFormat::Contiguous)));
      })
      ->shortcut = [](const Tensor& t, PyObject* self) { return t.is_contiguous() ? Py_NewRef(self) : nullptr; };
  def("to(input, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None)",
      kMethod | kAnyDevice,
      "Convert the tensor: to(dtype), to(device, dtype) or to(other). Return the tensor itself if nothing changes and "
      "copy is False.\n\nnon_blocking and copy may follow these as positional arguments. Gradient: converted back.",
      [](Self self, PyObject* args, std::optional<Dtype> dtype, Placement placement, bool non_blocking, bool copy,
         std::optional<MemoryFormat> format) {
        const ToArguments wanted = read_positional(args);
        require<TypeError>(!(wanted.dtype && dtype), "to() got multiple values for argument 'dtype'");
        require<TypeError>(!(wanted.device && placement.given), "to() got multiple values for argument 'device'");
        const Tensor& own = tensor_of(self);
        const Device device = wanted.device.value_or(placement.like(own));
        const cuda::NonBlocking scope(non_blocking || wanted.non_blocking);
        return converted(self, device, dtype.value_or(wanted.dtype.value_or(own.dtype())), copy || wanted.copy, format);
      });
  def("type_as(input, other)", kMethod | kAnyDevice, "Convert the tensor to the dtype and device of other.",
      [](Self self, const Tensor& other) { return converted(self, other.device(), other.dtype(), false, {}); });
  def("cpu(input, memory_format=None)", kMethod | kAnyDevice,
      "Copy the tensor to the CPU. Return the tensor itself if it is on the CPU. Raises NotImplementedError for a meta "
      "tensor, which has no elements. Gradient: copied back.",
      [](Self self, std::optional<MemoryFormat> format) {
        return converted(self, DeviceType::Cpu, tensor_of(self).dtype(), false, format);
      });
  def("cuda(input, device=None, non_blocking=False, memory_format=None)", kMethod | kAnyDevice,
      "Copy the tensor to a GPU, by default to the current GPU. Return the tensor itself if it is on that "
      "GPU.\n\nRaises "
      "RuntimeError with the reason if CUDA is not available. Gradient: copied back.",
      [](Self self, PyObject* device, bool non_blocking, std::optional<MemoryFormat> format) {
        const cuda::NonBlocking scope(non_blocking);
        return converted(self, gpu_of("cuda", device), tensor_of(self).dtype(), false, format);
      });
  bind_as<Dtype::float32>("float");
  bind_as<Dtype::float64>("double");
  bind_as<Dtype::float16>("half");
  bind_as<Dtype::bfloat16>("bfloat16");
  bind_as<Dtype::int64>("long");
  bind_as<Dtype::int32>("int");
  bind_as<Dtype::int16>("short");
  bind_as<Dtype::int8>("char");
  bind_as<Dtype::uint8>("byte");
  bind_as<Dtype::bool_>("bool");
  bind_as<Dtype::complex64>("cfloat");
  bind_as<Dtype::complex128>("cdouble");
}

}  // namespace flambeau::python
