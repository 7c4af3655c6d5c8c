// Construction of tensors from Python objects.
#include "calls/bind.h"
#include "calls/warning.h"
#include "tensor/dlpack.h"

namespace flambeau::python {

Tensor finished(Tensor t, Pinned pin, bool requires_grad) {
  return with_grad(pin.wanted ? pinned(t) : std::move(t), requires_grad);
}

Tensor with_grad(Tensor t, bool requires_grad) {
  if (requires_grad) {
    require(is_inexact(t.dtype()), "Only Tensors of floating point and complex dtype can require gradients, got ",
            t.dtype());
    ensure_autograd();
    autograd_hooks->set_requires_grad(t, true);
  }
  return t;
}

namespace {

bool is_numpy_scalar(PyObject* o) {
  if (is_tensor(o) || !PyObject_HasAttrString(o, "__array_interface__")) return false;
  const Object numpy(checked(PyImport_ImportModule("numpy"))),
      generic(checked(PyObject_GetAttrString(numpy.get(), "generic")));
  return PyObject_IsInstance(o, generic.get()) == 1;
}

// If `data` is a Python storage object, returns its bytes as a tensor of the given dtype. Otherwise returns an
// undefined tensor.
Tensor elements_of_storage(PyObject* data, std::optional<Dtype> dtype) {
  if (PyList_Check(data) || PyTuple_Check(data) || PyNumber_Check(data) || PyObject_CheckBuffer(data)) return Tensor();
  if (!PyObject_HasAttrString(data, "_elements_as")) return Tensor();
  PyObject* const type = dtype ? dtype_object(*dtype) : Py_None;
  const Object elements(checked(PyObject_CallMethod(data, "_elements_as", "O", type)));
  require<TypeError>(is_tensor(elements.get()), "_elements_as() must return a Tensor, not ",
                     Py_TYPE(elements.get())->tp_name);
  return clone(tensor_of(elements.get()));
}

// Creates a tensor from data and moves it to the requested device.
Tensor tensor_on_device(PyObject* data, std::optional<Dtype> dtype, const Placement& placement) {
  if (const Tensor elements = elements_of_storage(data, dtype); elements.defined())
    return to(elements, placement.like(elements));
  if (has_gpu_memory(data)) {
    const Tensor t = tensor_from_gpu_memory(data);
    const OnDevice scope(t.device());
    return to(clone(to(t, dtype.value_or(t.dtype()))), placement.like(t));
  }
  const Device device = is_tensor(data) ? placement.like(tensor_of(data)) : placement.of_fresh();
  const OnDevice scope(is_tensor(data) ? tensor_of(data).device() : DeviceType::Cpu);
  return to(tensor_from_data(data, dtype), device);
}

constexpr const char kCopyOfTensor[] =
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than flambeau.tensor(sourceTensor).";

PyObject* as_tensor(PyObject* data, std::optional<Dtype> dtype, const Placement& placement) {
  if (is_tensor(data)) {
    const Tensor &own = tensor_of(data), moved = to(own, placement.like(own));
    const OnDevice scope(moved.device());
    const Tensor out = to(moved, dtype.value_or(own.dtype()));
    return out.same(own) ? Py_NewRef(data) : wrap_tensor(out);
  }
  if (has_gpu_memory(data)) {
    const Tensor t = tensor_from_gpu_memory(data), moved = to(t, placement.like(t));
    const OnDevice scope(moved.device());
    return wrap_tensor(to(moved, dtype.value_or(t.dtype())));
  }
  if (!PyObject_CheckBuffer(data) || PyBytes_Check(data)) return wrap_tensor(tensor_on_device(data, dtype, placement));
  const Device device = placement.of_fresh();
  const OnDevice scope(DeviceType::Cpu);
  const Tensor t = tensor_from_buffer(data);
  return wrap_tensor(to(to(t, dtype.value_or(t.dtype())), device));
}

}  // namespace

void bind_construction() {
  def("tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)", kFunction,
      "Return a tensor with a copy of `data`: numbers, nested sequences, arrays or tensors.\n\nFloats get the default "
      "dtype, integers int64 and booleans bool. Arrays keep their dtype. Raises ValueError "
      "for ragged sequences.",
      [](PyObject* data, std::optional<Dtype> dtype, Placement placement, bool grad, Pinned pin) {
        if (is_tensor(data)) warn(kCopyOfTensor);
        return finished(tensor_on_device(data, dtype, placement), pin, grad);
      });
  def("as_tensor(data, dtype=None, device=None)", kFunction,
      "Convert `data` to a tensor. Tensors and arrays of the requested dtype are not copied.",
      [](PyObject* data, std::optional<Dtype> dtype, Placement placement) {
        return as_tensor(data, dtype, placement);
      });
  def("asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False)", kFunction,
      "Return a tensor that shares the memory of a tensor, an array, a DLPack capsule or another exporter of the "
      "buffer protocol. Other objects are copied.\n\ncopy=True always copies. copy=False raises ValueError if a copy "
      "is needed.",
      [](PyObject* data, std::optional<Dtype> dtype, Placement placement, std::optional<bool> copy, bool grad) {
        const Tensor own = is_tensor(data)              ? tensor_of(data)
                           : has_gpu_memory(data)       ? tensor_from_gpu_memory(data)
                           : PyCapsule_CheckExact(data) ? import_dlpack(data)
                                                        : Tensor();
        const Device device = own ? placement.like(own) : placement.of_fresh();
        const OnDevice scope(own ? own.device() : Device());
        const bool number = is_numpy_scalar(data), shared = own || (PyObject_CheckBuffer(data) && !number);
        require(!number || copy.value_or(true),
                "asarray(): can't alias NumPy scalars. Either remove copy=False or transform it in a ndarray");
        require<ValueError>(shared || copy.value_or(true),
                            "asarray(): can't alias arbitrary sequence into a tensor: ", Py_TYPE(data)->tp_name);
        const Tensor t = own ? own : shared ? tensor_from_buffer(data) : tensor_from_data(data, dtype);
        const Dtype type = dtype.value_or(t.dtype());
        require<ValueError>(copy.value_or(true) || type == t.dtype(), "asarray(): can't alias tensor with dtype '",
                            t.dtype(), "' into dtype '", type, "'");
        Tensor out = to(to(t, type), device);
        if (out.same(t) && copy.value_or(false)) out = clone(t);
        if (grad && out.same(t)) out = alias(t);
        return with_grad(out, grad);
      });
  def("new_tensor(input, data, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)",
      kMethod, "Return tensor(data) with the dtype of input.",
      [](const Tensor& t, PyObject* data, std::optional<Dtype> dtype, Strided, Placement placement, bool grad,
         Pinned pin) {
        if (is_tensor(data)) warn(kCopyOfTensor);
        const OnDevice scope(placement.like(t));
        const Dtype usual = is_tensor(data) ? tensor_of(data).dtype() : t.dtype();
        return finished(tensor_from_data(data, dtype.value_or(usual)), pin, grad);
      });
}

}  // namespace flambeau::python
