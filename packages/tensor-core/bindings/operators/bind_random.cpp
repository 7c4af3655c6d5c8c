// Random numbers.
#include <pybind11/pybind11.h>

#include "calls/factory.h"
#include "flambeau/gamma_variates.h"

namespace flambeau::python {

Generator* From<Generator*>::get(const Call& call, PyObject* o) {
  if (o == Py_None) return nullptr;
  if (!pybind11::isinstance<Generator>(o)) wrong_argument(call, "flambeau.Generator", o);
  return pybind11::cast<Generator*>(pybind11::handle(o));
}

namespace {

const Parameter* parameter(const char* name) { return new Parameter{PyUnicode_InternFromString(name)}; }

Tensor uniform(const Shape& size, Generator* g, std::optional<Dtype> dtype) {
  Tensor t = empty(size, dtype.value_or(default_dtype()));
  fill_uniform(t, 0, 1, g);
  return t;
}
Tensor standard_normal(const Shape& size, Generator* g, std::optional<Dtype> dtype) {
  Tensor t = empty(size, dtype.value_or(default_dtype()));
  fill_normal(t, 0, 1, g);
  return t;
}

// The bounds of randint(high, size), randint(low, high, size) and randint_like(input, high), (input, low, high).
struct Bounds {
  int64_t low, high;
};
Bounds bounds(const char* function, PyObject* low, PyObject* high) {
  static const Parameter *const low_ = parameter("low"), *const high_ = parameter("high");
  if (high == Py_None) std::swap(low, high);
  require<TypeError>(high != Py_None, function, "() missing 1 required positional arguments: \"high\"");
  return {low == Py_None ? 0 : From<int64_t>::get({function, low_, 0}, low),
          From<int64_t>::get({function, high_, 1}, high)};
}

Tensor randint(PyObject* low, PyObject* high, PyObject* size, Generator* g, std::optional<Dtype> dtype) {
  static const Parameter* const size_ = parameter("size");
  if (size == Py_None) {  // randint(high, size)
    size = high;
    high = Py_None;
  }
  require<TypeError>(size != Py_None && !PyIndex_Check(size),
                     "randint(): argument 'size' must be tuple of ints; call it as randint(high, size) or "
                     "randint(low, high, size)");
  const Bounds b = bounds("randint", low, high);
  Tensor t = empty(From<const Shape&>::get({"randint", size_, 2}, size), dtype.value_or(Dtype::int64));
  fill_integers(t, b.low, b.high, g);
  return t;
}

Tensor normal(const Operand& mean, const Operand& std, std::optional<Shape> size, Generator* g,
              std::optional<Dtype> dtype) {
  require<TypeError>(!size == (mean.tensor || std.tensor),
                     "normal(): ", size ? "size goes with" : "a size is needed for",
                     " a mean and a std that are both numbers");
  Tensor out;
  if (size) {
    out = empty(*size, dtype.value_or(default_dtype()));
    fill_normal(out, mean.scalar.real(), std.scalar.real(), g);
    return out;
  }
  require(std.tensor || std.scalar.real() >= 0, "normal expects std >= 0.0, but found std ", std.scalar);
  const Tensor &m = mean.tensor ? *mean.tensor : *std.tensor, &s = std.tensor ? *std.tensor : m;
  {
    NoRecording off;
    require(!std.tensor || s.numel() == 0 || item(all(ge(s, 0), {}, false)).truth(),
            "normal expects all elements of std >= 0.0");
    out = empty(broadcast(m.shape(), s.shape()), m.dtype());
    fill_normal(out, 0, 1, g);
    out = to(add(mul(out, std), mean), m.dtype());
  }
  if (recording(m, s))
    record("Normal", out, {&m, &s}, {}, [sizes = std::pair(m.shape(), s.shape())](const Context& c) {
      if (c.needs(0)) c.set(0, zeros(sizes.first, c.gradient().dtype()));
      if (c.needs(1)) c.set(1, zeros(sizes.second, c.gradient().dtype()));
    });
  return out;
}

// Upper end of the whole numbers that random_() draws: all that an integer dtype holds, or a floating one exactly.
int64_t whole_numbers(Dtype d) {
  require<NotImplementedError>(!is_complex(d), "\"random_\" not implemented for '", d, "'");
  switch (d) {
    case Dtype::bool_:
      return 2;
    case Dtype::uint8:
    case Dtype::uint16:
    case Dtype::uint32:
      return int64_t(1) << (8 * item_size(d));
    case Dtype::float16:
      return (1 << 11) + 1;
    case Dtype::bfloat16:
      return (1 << 8) + 1;
    case Dtype::float32:
      return (1 << 24) + 1;
    case Dtype::float64:
      return (int64_t(1) << 53) + 1;
    default:
      return int64_t((uint64_t(1) << (8 * item_size(d) - 1)) - (item_size(d) == 8));
  }
}

void bind_constructors() {
  def_factory("rand(*size, generator=None", kFunction | kOut,
              "Uniform in [0, 1): multiples of 2**-24 in float32 (2**-53 in float64, 2**-11, 2**-8 in the halves).",
              [](const Shape& size, Generator* g, std::optional<Dtype> dtype) { return uniform(size, g, dtype); });
  def_factory(
      "randn(*size, generator=None", kFunction | kOut, "Standard normal.\n\nSource: Box and Muller 1958.",
      [](const Shape& size, Generator* g, std::optional<Dtype> dtype) { return standard_normal(size, g, dtype); });
  def_factory("randint(low=None, high=None, size=None, *, generator=None", kFunction | kOut,
              "Uniform integers in [low, high); randint(high, size) starts at 0.",
              [](PyObject* low, PyObject* high, PyObject* size, Generator* g, std::optional<Dtype> dtype) {
                return randint(low, high, size, g, dtype);
              });
  def_factory("randperm(n, *, generator=None", kFunction | kOut, "A random permutation of 0 ... n - 1.",
              [](int64_t n, Generator* g, std::optional<Dtype> dtype) {
                return random_permutation(n, dtype.value_or(Dtype::int64), g);
              });
  def_factory("normal(mean, std=1, size=None, *, generator=None", kFunction | kOut,
              "Normal numbers; mean and std are tensors that broadcast, or both numbers with a size.\n\nGradient: 0.",
              [](const Operand& mean, const Operand& std, std::optional<Shape> size, Generator* g,
                 std::optional<Dtype> dtype) { return normal(mean, std, size, g, dtype); });
  def_like("rand_like(input, *, generator=None", kFunction, "Uniform in [0, 1), of input's shape.",
           [](const Tensor& t, Generator* g) { fill_uniform(t, 0, 1, g); });
  def_like("randn_like(input, *, generator=None", kFunction, "Standard normal, of input's shape.",
           [](const Tensor& t, Generator* g) { fill_normal(t, 0, 1, g); });
  def_like("randint_like(input, low=None, high=None, *, generator=None", kFunction,
           "Uniform integers in [low, high), of input's shape; randint_like(input, high) starts at 0.",
           [](const Tensor& t, PyObject* low, PyObject* high, Generator* g) {
             const Bounds b = bounds("randint_like", low, high);
             fill_integers(t, b.low, b.high, g);
           });
}

// Fills and returns the tensor it is the method of.
template <class F>
PyObject* filled(PyObject* self, F&& fill) {
  fill(tensor_of(self));
  return Py_NewRef(self);
}

void bind_fills() {
  // The default () tells random_(to) from random_(from, None).
  def("random_(input, from_=0, to=(), *, generator=None)", kMethod,
      "Fills with uniform integers: random_(from, to) in [from, to), random_(to) from 0.\n\nWithout a bound, or with "
      "None, up to the largest that the dtype holds, or counts to without gaps.",
      [](Self self, int64_t from, PyObject* to, Generator* g) {
        static const Parameter* const to_ = parameter("to");
        const bool missing = PyTuple_CheckExact(to) && PyTuple_GET_SIZE(to) == 0;
        return filled(self, [&](const Tensor& t) {
          if (to == Py_None || (missing && from == 0))
            fill_integers(t, from, whole_numbers(t.dtype()), g);
          else if (missing)
            fill_integers(t, 0, from, g);
          else
            fill_integers(t, from, From<int64_t>::get({"random_", to_, 2}, to), g);
        });
      });
}

}  // namespace

void bind_random() {
  bind_constructors();
  bind_fills();
}

}  // namespace flambeau::python
