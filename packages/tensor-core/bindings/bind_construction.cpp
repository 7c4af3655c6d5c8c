// Constructors and random numbers.
#include <pybind11/pybind11.h>

#include "bind.h"

namespace flambeau::python {

Tensor with_grad(Tensor t, bool requires_grad) {
  if (requires_grad) {
    ensure_autograd();
    autograd_hooks->set_requires_grad(t, true);
  }
  return t;
}

Generator* From<Generator*>::get(const Call& call, PyObject* o) {
  if (o == Py_None) return nullptr;
  if (!pybind11::isinstance<Generator>(o)) wrong_argument(call, "flambeau.Generator", o);
  return pybind11::cast<Generator*>(pybind11::handle(o));
}

namespace {

Dtype like(const Tensor& t, std::optional<Dtype> dtype) { return dtype.value_or(t.dtype()); }

// Fills and returns a tensor, for the _ methods.
template <class F>
PyObject* filled(PyObject* self, F&& fill) {
  fill(tensor_of(self));
  return Py_NewRef(self);
}

Tensor drawn(const Shape& size, Dtype dtype, bool requires_grad, Generator* generator,
             void (*fill)(const Tensor&, double, double, Generator*), double a, double b) {
  require(is_inexact(dtype), "random floating-point numbers need a floating or complex dtype, got ", dtype);
  Tensor t = empty(size, dtype);
  fill(t, a, b, generator);
  return with_grad(t, requires_grad);
}

PyObject* randint(PyObject* low, PyObject* high, PyObject* size, Generator* generator, std::optional<Dtype> dtype,
                  CpuDevice, bool requires_grad) {
  static const Parameter names[] = {
      {PyUnicode_InternFromString("low")}, {PyUnicode_InternFromString("high")}, {PyUnicode_InternFromString("size")}};
  if (size == Py_None) {  // randint(high, size)
    size = high;
    high = low;
    low = nullptr;
  }
  require<TypeError>(size != Py_None && size, "randint() missing required argument 'size'");
  const int64_t from = low ? From<int64_t>::get({"randint", &names[0], 0}, low) : 0,
                to_ = From<int64_t>::get({"randint", &names[1], 1}, high);
  Tensor t = empty(From<const Shape&>::get({"randint", &names[2], 2}, size), dtype.value_or(Dtype::int64));
  fill_integers(t, from, to_, generator);
  return wrap_tensor(with_grad(t, requires_grad));
}

void bind_constructors() {
  def("tensor(data, *, dtype=None, device=None, requires_grad=False)", kFunction,
      "A tensor with a copy of `data`: numbers, nested sequences, arrays or tensors.\n\nFloats give the default dtype, "
      "integers int64, booleans bool; arrays keep theirs. Raises ValueError for ragged sequences.",
      [](PyObject* data, std::optional<Dtype> dtype, CpuDevice, bool grad) {
        return with_grad(tensor_from_data(data, dtype), grad);
      });
  for (const char* signature : {"as_tensor(data, dtype=None, device=None)", "asarray(data, dtype=None, device=None)"})
    def(signature, kFunction, "A tensor over `data`, without a copy where it is a tensor or array of that dtype.",
        [](PyObject* data, std::optional<Dtype> dtype, CpuDevice) -> PyObject* {
          if (is_tensor(data))
            return dtype && *dtype != tensor_of(data).dtype() ? wrap_tensor(to(tensor_of(data), *dtype))
                                                              : Py_NewRef(data);
          if (PyObject_CheckBuffer(data) && !PyBytes_Check(data)) {
            const Tensor t = tensor_from_buffer(data, false);
            return wrap_tensor(dtype ? to(t, *dtype) : t);
          }
          return wrap_tensor(tensor_from_data(data, dtype));
        });
  def("empty(*size, dtype=None, device=None, requires_grad=False, pin_memory=False)", kFunction | kOut,
      "Uninitialised memory.",
      [](const Shape& size, Dtype dtype, CpuDevice, bool grad, bool) { return with_grad(empty(size, dtype), grad); });
  def("zeros(*size, dtype=None, device=None, requires_grad=False)", kFunction | kOut, "Zeros.",
      [](const Shape& size, Dtype dtype, CpuDevice, bool grad) { return with_grad(zeros(size, dtype), grad); });
  def("ones(*size, dtype=None, device=None, requires_grad=False)", kFunction | kOut, "Ones.",
      [](const Shape& size, Dtype dtype, CpuDevice, bool grad) { return with_grad(ones(size, dtype), grad); });
  def("full(size, fill_value, *, dtype=None, device=None, requires_grad=False)", kFunction | kOut,
      "One value everywhere; the dtype is the value's unless given.",
      [](const Shape& size, Scalar value, std::optional<Dtype> dtype, CpuDevice, bool grad) {
        return with_grad(full(size, value, dtype.value_or(default_dtype(value.kind()))), grad);
      });
  def("empty_like(input, *, dtype=None, device=None, requires_grad=False)", kFunction,
      "Uninitialised memory of input's shape.", [](const Tensor& t, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(empty(t.shape(), like(t, d)), g);
      });
  def("zeros_like(input, *, dtype=None, device=None, requires_grad=False)", kFunction, "Zeros of input's shape.",
      [](const Tensor& t, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(zeros(t.shape(), like(t, d)), g);
      });
  def("ones_like(input, *, dtype=None, device=None, requires_grad=False)", kFunction, "Ones of input's shape.",
      [](const Tensor& t, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(ones(t.shape(), like(t, d)), g);
      });
  def("full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False)", kFunction,
      "One value, of input's shape.", [](const Tensor& t, Scalar v, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(full(t.shape(), v, like(t, d)), g);
      });
  def("new_empty(input, *size, dtype=None, device=None, requires_grad=False)", kMethod,
      "Uninitialised memory of input's dtype.",
      [](const Tensor& t, const Shape& s, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(empty(s, like(t, d)), g);
      });
  def("new_zeros(input, *size, dtype=None, device=None, requires_grad=False)", kMethod, "Zeros of input's dtype.",
      [](const Tensor& t, const Shape& s, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(zeros(s, like(t, d)), g);
      });
  def("new_ones(input, *size, dtype=None, device=None, requires_grad=False)", kMethod, "Ones of input's dtype.",
      [](const Tensor& t, const Shape& s, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(ones(s, like(t, d)), g);
      });
  def("new_full(input, size, fill_value, *, dtype=None, device=None, requires_grad=False)", kMethod,
      "One value, of input's dtype.",
      [](const Tensor& t, const Shape& s, Scalar v, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(full(s, v, like(t, d)), g);
      });
  def("new_tensor(input, data, *, dtype=None, device=None, requires_grad=False)", kMethod,
      "tensor(data) of input's dtype.", [](const Tensor& t, PyObject* data, std::optional<Dtype> d, CpuDevice, bool g) {
        return with_grad(tensor_from_data(data, like(t, d)), g);
      });
  def("arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False)", kFunction | kOut,
      "start, start + step, ... below end; arange(end) starts at 0.",
      [](Scalar start, std::optional<Scalar> end, Scalar step, std::optional<Dtype> dtype, CpuDevice, bool grad) {
        return with_grad(end ? arange(start, *end, step, dtype) : arange(Scalar(0), start, step, dtype), grad);
      });
  def("linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False)", kFunction | kOut,
      "`steps` values from start to end, both included.",
      [](Scalar start, Scalar end, int64_t steps, Dtype dtype, CpuDevice, bool grad) {
        return with_grad(linspace(start, end, steps, dtype), grad);
      });
  def("eye(n, m=None, *, dtype=None, device=None, requires_grad=False)", kFunction | kOut, "The identity matrix.",
      [](int64_t n, std::optional<int64_t> m, Dtype dtype, CpuDevice, bool grad) {
        return with_grad(eye(n, m.value_or(n), dtype), grad);
      });
}

void bind_random() {
  def("rand(*size, generator=None, dtype=None, device=None, requires_grad=False)", kFunction, "Uniform in [0, 1).",
      [](const Shape& s, Generator* g, Dtype d, CpuDevice, bool grad) {
        return drawn(s, d, grad, g, fill_uniform, 0, 1);
      });
  def("randn(*size, generator=None, dtype=None, device=None, requires_grad=False)", kFunction, "Standard normal.",
      [](const Shape& s, Generator* g, Dtype d, CpuDevice, bool grad) {
        return drawn(s, d, grad, g, fill_normal, 0, 1);
      });
  def("rand_like(input, *, dtype=None, device=None, requires_grad=False)", kFunction,
      "Uniform in [0, 1), of input's shape.", [](const Tensor& t, std::optional<Dtype> d, CpuDevice, bool g) {
        return drawn(t.shape(), like(t, d), g, nullptr, fill_uniform, 0, 1);
      });
  def("randn_like(input, *, dtype=None, device=None, requires_grad=False)", kFunction,
      "Standard normal, of input's shape.", [](const Tensor& t, std::optional<Dtype> d, CpuDevice, bool g) {
        return drawn(t.shape(), like(t, d), g, nullptr, fill_normal, 0, 1);
      });
  def("randint(low, high, size=None, *, generator=None, dtype=None, device=None, requires_grad=False)", kFunction,
      "Uniform integers in [low, high); randint(high, size) starts at 0.", randint);
  def("randint_like(input, low, high=None, *, dtype=None, device=None)", kFunction,
      "Uniform integers in [low, high), of input's shape.",
      [](const Tensor& t, int64_t low, std::optional<int64_t> high, std::optional<Dtype> d, CpuDevice) {
        Tensor out = empty(t.shape(), like(t, d));
        fill_integers(out, high ? low : 0, high.value_or(low), nullptr);
        return out;
      });
  def("randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False)", kFunction,
      "A random permutation of 0 ... n - 1.",
      [](int64_t n, Generator* g, std::optional<Dtype> d, CpuDevice, bool grad) {
        return with_grad(random_permutation(n, d.value_or(Dtype::int64), g), grad);
      });
  def("normal(mean, std, size=None, *, generator=None)", kFunction,
      "Normal numbers; mean and std are tensors, or numbers with a size.",
      [](const Operand& mean, const Operand& std, std::optional<Shape> size, Generator* g) {
        Tensor z = empty(
            size ? *size
                 : broadcast(mean.tensor ? mean.tensor->shape() : Shape{}, std.tensor ? std.tensor->shape() : Shape{}),
            default_dtype());
        fill_normal(z, 0, 1, g);
        return add(mul(z, std), mean);
      });
  def("bernoulli(input, *, generator=None)", kFunction | kMethod, "1 with the probabilities in input, else 0.",
      [](const Tensor& p, Generator* g) {
        GradMode off(false);
        require(item(all(logical_and(ge(p, 0), le(p, 1)), {}, false)).truth(),
                "Expected p_in >= 0 && p_in <= 1: the probabilities must lie in [0, 1]");
        Tensor u = empty(p.shape(), p.dtype());
        fill_uniform(u, 0, 1, g);
        return to(lt(u, p), p.dtype());
      });
  def("uniform_(input, from_=0, to=1, *, generator=None)", kMethod, "Fills with uniform numbers in [from, to).",
      [](Self self, double a, double b, Generator* g) {
        return filled(self, [&](const Tensor& t) { fill_uniform(t, a, b, g); });
      });
  def("normal_(input, mean=0, std=1, *, generator=None)", kMethod, "Fills with normal numbers.",
      [](Self self, double mean, double std, Generator* g) {
        return filled(self, [&](const Tensor& t) { fill_normal(t, mean, std, g); });
      });
  def("bernoulli_(input, p=0.5, *, generator=None)", kMethod, "Fills with 1 (probability p) and 0.",
      [](Self self, double p, Generator* g) {
        return filled(self, [&](const Tensor& t) { fill_bernoulli(t, p, g); });
      });
  def("random_(input, from_=0, to=None, *, generator=None)", kMethod, "Fills with uniform integers in [from, to).",
      [](Self self, int64_t a, std::optional<int64_t> b, Generator* g) {
        return filled(self, [&](const Tensor& t) {
          const Dtype d = t.dtype();
          const int64_t limit = is_floating(d)      ? (d == Dtype::float64 ? int64_t(1) << 53
                                                                           : int64_t(1) << (d == Dtype::float32   ? 24
                                                                                            : d == Dtype::float16 ? 11
                                                                                                                  : 8))
                                : d == Dtype::bool_ ? 2
                                : d == Dtype::uint8 ? 256
                                                    : (int64_t(1) << std::min<int64_t>(62, item_size(d) * 8 - 1));
          fill_integers(t, a, b.value_or(limit), g);
        });
      });
}

}  // namespace

void bind_construction() {
  bind_constructors();
  bind_random();
}

}  // namespace flambeau::python
