// Constructors.
#include <algorithm>

#include "calls/factory.h"
#include "calls/warning.h"
#include "tensor/dlpack.h"

namespace flambeau::python {

Tensor finished(Tensor t, Pinned pin, bool requires_grad) {
  return with_grad(pin.wanted ? pinned(t) : std::move(t), requires_grad);
}

Tensor with_grad(Tensor t, bool requires_grad) {
  if (requires_grad) {
    ensure_autograd();
    autograd_hooks->set_requires_grad(t, true);
  }
  return t;
}

namespace {

// What is made of data gets its values first, then its device.
Tensor placed_from_data(PyObject* data, std::optional<Dtype> dtype, const Placement& place) {
  if (has_gpu_memory(data)) {
    const Tensor t = tensor_from_gpu_memory(data);
    const OnDevice scope(t.device());
    return to(clone(to(t, dtype.value_or(t.dtype()))), place.like(t));
  }
  const Device device = is_tensor(data) ? place.like(tensor_of(data)) : place.of_fresh();
  const OnDevice scope(is_tensor(data) ? tensor_of(data).device() : DeviceType::Cpu);
  return to(tensor_from_data(data, dtype), device);
}

constexpr const char kCopyOfTensor[] =
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than flambeau.tensor(sourceTensor).";

PyObject* as_tensor(PyObject* data, std::optional<Dtype> dtype, const Placement& place) {
  if (is_tensor(data)) {
    const Tensor &own = tensor_of(data), moved = to(own, place.like(own));
    const OnDevice scope(moved.device());
    const Tensor out = to(moved, dtype.value_or(own.dtype()));
    return out.same(own) ? Py_NewRef(data) : wrap_tensor(out);
  }
  if (has_gpu_memory(data)) {
    const Tensor t = tensor_from_gpu_memory(data), moved = to(t, place.like(t));
    const OnDevice scope(moved.device());
    return wrap_tensor(to(moved, dtype.value_or(t.dtype())));
  }
  if (!PyObject_CheckBuffer(data) || PyBytes_Check(data)) return wrap_tensor(placed_from_data(data, dtype, place));
  const Device device = place.of_fresh();
  const OnDevice scope(DeviceType::Cpu);
  const Tensor t = tensor_from_buffer(data);
  return wrap_tensor(to(to(t, dtype.value_or(t.dtype())), device));
}

// Of an end of a range: a number, or a tensor of one.
Scalar end_of(const char* function, const Operand& end) {
  if (!end.tensor) return end.scalar;
  require(end.tensor->dim() == 0, function, " only supports 0-dimensional start and end tensors, got shape ",
          end.tensor->shape());
  return item(*end.tensor);
}

// What a range of these ends is made of unless a dtype is given.
Dtype range_type(const Scalar& start, const Scalar& end, std::optional<Dtype> dtype) {
  return dtype.value_or(default_dtype(std::max({start.kind(), end.kind(), Category::Floating})));
}

void bind_conversions() {
  def("tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)", kFunction,
      "A tensor with a copy of `data`: numbers, nested sequences, arrays or tensors.\n\nFloats give the default dtype, "
      "integers int64, booleans bool; arrays keep theirs. Raises ValueError for ragged sequences.",
      [](PyObject* data, std::optional<Dtype> dtype, Placement place, bool grad, Pinned pin) {
        if (is_tensor(data)) warn(kCopyOfTensor);
        return finished(placed_from_data(data, dtype, place), pin, grad);
      });
  def("as_tensor(data, dtype=None, device=None)", kFunction,
      "A tensor over `data`, without a copy where it is a tensor or array of that dtype.",
      [](PyObject* data, std::optional<Dtype> dtype, Placement place) { return as_tensor(data, dtype, place); });
  def("asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False)", kFunction,
      "A tensor over the memory of a tensor, an array or another exporter of the buffer protocol, else a copy.\n\n"
      "copy=True always copies, copy=False raises ValueError where a copy is needed.",
      [](PyObject* data, std::optional<Dtype> dtype, Placement place, std::optional<bool> copy, bool grad) {
        const Tensor own = is_tensor(data)        ? tensor_of(data)
                           : has_gpu_memory(data) ? tensor_from_gpu_memory(data)
                                                  : Tensor();
        const Device device = own ? place.like(own) : place.of_fresh();
        const OnDevice scope(own ? own.device() : Device());
        const bool shared = own || PyObject_CheckBuffer(data);
        require<ValueError>(shared || copy.value_or(true),
                            "asarray(): can't alias an arbitrary sequence into a tensor: ", Py_TYPE(data)->tp_name);
        const Tensor t = own ? own : shared ? tensor_from_buffer(data) : tensor_from_data(data, dtype);
        const Dtype type = dtype.value_or(t.dtype());
        require<ValueError>(copy.value_or(true) || type == t.dtype(), "asarray(): can't alias a tensor of dtype ",
                            t.dtype(), " into dtype ", type);
        Tensor out = to(to(t, type), device);
        if (out.same(t) && copy.value_or(false)) out = clone(t);
        if (grad && out.same(t)) out = alias(t);
        return with_grad(out, grad);
      });
  def_factory("scalar_tensor(s, *", kFunction, "A number as a tensor without dimensions, of the default dtype.",
              [](Scalar s, std::optional<Dtype> dtype) { return full({}, s, dtype.value_or(default_dtype())); });
}

void bind_filled() {
  def("empty(*size, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)",
      kFunction | kOut | kFactory, "Uninitialised memory.",
      [](const Shape& size, Dtype dtype, Strided, Placement place, bool grad, Pinned pin,
         std::optional<MemoryFormat> format) {
        const OnDevice scope(place.of_fresh());
        require(format != MemoryFormat::Preserve, "empty(): unsupported memory format Preserve");
        if (!format || format == MemoryFormat::Contiguous) return finished(empty(size, dtype), pin, grad);
        return finished(empty_strided(size, strides_in(*format, size), dtype), pin, grad);
      });
  def_factory("zeros(*size", kFunction | kOut, "Zeros.", [](const Shape& size, std::optional<Dtype> dtype) {
    return zeros(size, dtype.value_or(default_dtype()));
  });
  def_factory("ones(*size", kFunction | kOut, "Ones.", [](const Shape& size, std::optional<Dtype> dtype) {
    return ones(size, dtype.value_or(default_dtype()));
  });
  def_factory("full(size, fill_value, *", kFunction | kOut,
              "One value everywhere; the dtype is the value's unless given.",
              [](const Shape& size, Scalar value, std::optional<Dtype> dtype) {
                return full(size, value, dtype.value_or(default_dtype(value.kind())));
              });
  def_factory("empty_strided(size, stride, *", kFunction, "Uninitialised memory under these strides.",
              [](const Shape& size, const Shape& stride, std::optional<Dtype> dtype) {
                return empty_strided(size, stride, dtype.value_or(default_dtype()));
              });
  def_factory("eye(n, m=None, *", kFunction | kOut, "The identity matrix, n by m.",
              [](int64_t n, std::optional<int64_t> m, std::optional<Dtype> dtype) {
                return eye(n, m.value_or(n), dtype.value_or(default_dtype()));
              });
}

void bind_ranges() {
  def_factory(
      "arange(start, end=None, step=1, *", kFunction | kOut,
      "start, start + step, ... below end; arange(end) starts at 0.\n\nint64 for integers, else the default dtype.",
      [](Scalar start, std::optional<Scalar> end, Scalar step, std::optional<Dtype> dtype) {
        return end ? arange(start, *end, step, dtype) : arange(Scalar(0), start, step, dtype);
      });
  def_factory("range(start, end=None, step=1, *", kFunction | kOut,
              "start, start + step, ... up to and with end. PyTorch deprecates it for arange, which leaves end out.",
              [](Scalar start, std::optional<Scalar> end, Scalar step, std::optional<Dtype> dtype) {
                return range_to(end ? start : Scalar(0), end.value_or(start), step, dtype.value_or(default_dtype()));
              });
  def_factory("linspace(start, end, steps, *", kFunction | kOut,
              "`steps` values from start to end, both included and exact; the ends are numbers or tensors without "
              "dimensions.",
              [](const Operand& start, const Operand& end, int64_t steps, std::optional<Dtype> dtype) {
                const Scalar first = end_of("linspace", start), last = end_of("linspace", end);
                return linspace(first, last, steps, range_type(first, last, dtype));
              });
  def_factory("logspace(start, end, steps, base=10, *", kFunction | kOut,
              "base**x for `steps` values x from start to end, both included.",
              [](const Operand& start, const Operand& end, int64_t steps, double base, std::optional<Dtype> dtype) {
                const Scalar first = end_of("logspace", start), last = end_of("logspace", end);
                return logspace(first, last, steps, base, range_type(first, last, dtype));
              });
}

void bind_like() {
  def_like("empty_like(input, *", kFunction, "Uninitialised memory of input's shape.", [](const Tensor&) {});
  def_like("zeros_like(input, *", kFunction, "Zeros of input's shape.", [](const Tensor& t) { fill_(t, Scalar(0)); });
  def_like("ones_like(input, *", kFunction, "Ones of input's shape.", [](const Tensor& t) { fill_(t, Scalar(1)); });
  def_like("full_like(input, fill_value, *", kFunction, "One value, of input's shape.",
           [](const Tensor& t, Scalar value) { fill_(t, value); });
}

void bind_of_same_dtype() {
  def_factory("new_empty(input, *size", kMethod, "Uninitialised memory of input's dtype.",
              [](const Tensor& t, const Shape& size, std::optional<Dtype> dtype) {
                return empty(size, dtype.value_or(t.dtype()));
              });
  def_factory("new_empty_strided(input, size, stride, *", kMethod,
              "Uninitialised memory of input's dtype, under these "
              "strides.",
              [](const Tensor& t, const Shape& size, const Shape& stride, std::optional<Dtype> dtype) {
                return empty_strided(size, stride, dtype.value_or(t.dtype()));
              });
  def_factory("new_zeros(input, *size", kMethod, "Zeros of input's dtype.",
              [](const Tensor& t, const Shape& size, std::optional<Dtype> dtype) {
                return zeros(size, dtype.value_or(t.dtype()));
              });
  def_factory("new_ones(input, *size", kMethod, "Ones of input's dtype.",
              [](const Tensor& t, const Shape& size, std::optional<Dtype> dtype) {
                return ones(size, dtype.value_or(t.dtype()));
              });
  def_factory("new_full(input, size, fill_value, *", kMethod, "One value, of input's dtype.",
              [](const Tensor& t, const Shape& size, Scalar value, std::optional<Dtype> dtype) {
                return full(size, value, dtype.value_or(t.dtype()));
              });
  def_factory("new_tensor(input, data, *", kMethod, "tensor(data) of input's dtype.",
              [](const Tensor& t, PyObject* data, std::optional<Dtype> dtype) {
                return tensor_from_data(data, dtype.value_or(is_tensor(data) ? tensor_of(data).dtype() : t.dtype()));
              });
}

}  // namespace

void bind_construction() {
  bind_conversions();
  bind_filled();
  bind_ranges();
  bind_like();
  bind_of_same_dtype();
}

}  // namespace flambeau::python
