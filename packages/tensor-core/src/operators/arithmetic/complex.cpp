// Parts of complex numbers as views, and complex numbers from real ones. The conjugate is computed immediately: tensors
// have no conjugate flag, because every kernel would have to check it.
#include "core/working_memory.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "flambeau/scalar_type.h"
#include "operators/views/view.h"

namespace flambeau {

namespace {

void require_complex(const Tensor& t, const char* name) {
  require(is_complex(t.dtype()), name, " is only implemented for complex tensors, got ", t.dtype());
}

// Returns a view of the real parts (`which` is 0) or of the imaginary parts (`which` is 1) of the elements.
Tensor component(const Tensor& t, int64_t which, const char* node, void (*derivative)(const Context&)) {
  Shape strides = t.strides();
  for (int64_t& s : strides) s *= 2;
  Tensor out = make_view(t, t.shape(), strides, 2 * t.offset() + which, to_real(t.dtype()));
  if (recording(t) && !t.storage().inference()) record(node, out, {&t}, {}, derivative, Recording::kView);
  return out;
}

}  // namespace

Tensor conj(const Tensor& t) { return is_complex(t.dtype()) ? conj_physical(t) : t; }

Tensor real(const Tensor& t) {
  if (!is_complex(t.dtype())) return t;
  return component(t, 0, "Real",
                   [](const Context& c) { c.set(0, to(c.gradient(), to_complex(c.gradient().dtype()))); });
}

const Operator conj_operator(
    {.signature = "conj(input)",
     .forms = kFunction | kMethod,
     .doc = R"(Return a copy with the complex conjugates, or a real tensor itself. Gradient: input.

Conjugation is not lazy: is_conj() is always False.

>>> flambeau.conj(flambeau.tensor([1 + 2j]))
tensor([1.-2.j]))",
     .forward = conj,
     .reference = "np.conj(input)",
     .samples = "c(2, 3); f(3)"});

const Operator resolve_conj_operator({.signature = "resolve_conj|resolve_neg(input)",
                                      .forms = kFunction | kMethod | kIdentity,
                                      .doc = R"(Return the tensor itself, because conjugation and negation are not lazy.

>>> flambeau.resolve_conj(flambeau.tensor([1 + 2j]))
tensor([1.+2.j]))",
                                      .forward = [](const Tensor& t) { return t; },
                                      .reference = "input",
                                      .samples = "c(2, 3); f(3)"});

const Operator real_operator({.signature = "real(input)",
                              .forms = kFunction,
                              .doc = R"(Return a view of the real parts, or a real tensor itself. The gradient is real.

>>> flambeau.real(flambeau.tensor([1 + 2j]))
tensor([1.]))",
                              .forward = real,
                              .reference = "np.real(input)",
                              .samples = "c(2, 3); f(3)"});

Tensor imag(const Tensor& t) {
  require(is_complex(t.dtype()), "imag is not implemented for tensors with non-complex dtypes, got ", t.dtype());
  return component(t, 1, "Imag", [](const Context& c) { c.set(0, mul(c.gradient(), Scalar(Complex<double>(0, 1)))); });
}

const Operator imag_operator(
    {.signature = "imag(input)",
     .forms = kFunction,
     .doc = "Return a view of the imaginary parts of a complex tensor. The gradient is imaginary.",
     .forward = imag,
     .reference = "input.imag",
     .samples = "c(2, 3)"});

Tensor view_as_real(const Tensor& t) {
  require_complex(t, "view_as_real");
  Shape shape = t.shape(), strides = t.strides();
  for (int64_t& s : strides) s *= 2;
  shape.push_back(2);
  strides.push_back(1);
  const Tensor out = make_view(t, shape, strides, 2 * t.offset(), to_real(t.dtype()));
  return recorded("ViewAsReal", t, out, [](const Tensor& g) { return view_as_complex(contiguous(g)); });
}

const Operator view_as_real_operator(
    {.signature = "view_as_real(input)",
     .forms = kFunction,
     .doc = "Return a view of a complex tensor as pairs of real numbers, with shape (*, 2).",
     .forward = view_as_real,
     .reference = "np.stack([input.real, input.imag], -1)",
     .samples = "c(3)"});

Tensor view_as_complex(const Tensor& t) {
  require(t.dtype() == Dtype::float32 || t.dtype() == Dtype::float64,
          "view_as_complex is only supported for float32 and float64 tensors, but got a tensor of scalar type: ",
          t.dtype());
  require(t.dim() > 0, "Input tensor must have one or more dimensions");
  require(t.size(-1) == 2, "Tensor must have a last dimension of size 2, got shape ", t.shape());
  require(t.strides().back() == 1, "Tensor must have a last dimension with stride 1, got strides ", t.strides());
  Shape shape = t.shape(), strides = t.strides();
  shape.pop_back();
  strides.pop_back();
  for (int64_t& s : strides) {
    require(s % 2 == 0, "Tensor must have a stride divisible by 2 for all but last dimension, got strides ",
            t.strides());
    s /= 2;
  }
  require(t.offset() % 2 == 0, "Tensor must have a storage_offset divisible by 2, got ", t.offset());
  const Tensor out = make_view(t, shape, strides, t.offset() / 2, to_complex(t.dtype()));
  return recorded("ViewAsComplex", t, out, [](const Tensor& g) { return view_as_real(g); });
}

const Operator view_as_complex_operator(
    {.signature = "view_as_complex(input)",
     .forms = kFunction | kFloat32,
     .doc = "Return a complex view of pairs of real numbers: a tensor (*, 2) whose last dimension is contiguous.",
     .forward = view_as_complex,
     .reference = "input[..., 0] + 1j * input[..., 1]",
     .samples = "f(3, 2)"});

namespace {

void require_parts(const Tensor& a, const Tensor& b, const char* name) {
  require((a.dtype() == Dtype::float32 || a.dtype() == Dtype::float64) &&
              (b.dtype() == Dtype::float32 || b.dtype() == Dtype::float64),
          name, "(): Expected both inputs to be Half, Float or Double tensors but got ", scalar_type(a.dtype()),
          " and ", scalar_type(b.dtype()), "; flambeau supports only Float and Double");
  require(a.dtype() == b.dtype(), name, "(): Expected object of scalar type ", scalar_type(a.dtype()),
          " but got scalar type ", scalar_type(b.dtype()), " for second argument");
}

void interleave(const Tensor& out, const Tensor& re, const Tensor& im) {
  dispatch_real(re.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *first = re.data<T>(), *second = im.data<T>();
    T* to = reinterpret_cast<T*>(out.bytes());
    parallel_for(re.numel(), 65536, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        to[2 * i] = first[i];
        to[2 * i + 1] = second[i];
      }
    });
  });
}

}  // namespace

Tensor complex(const Tensor& re, const Tensor& im) {
  require_parts(re, im, "complex");
  Tensor out = empty(broadcast(re.shape(), im.shape()), to_complex(re.dtype()));
  const bool on_host = !out.is_meta() && !re.is_cuda() && !im.is_cuda();
  if (on_host && re.is_contiguous() && im.is_contiguous() && re.shape() == im.shape()) {
    interleave(out, re, im);
  } else {
    NoRecording off;
    copy_values(real(out), re);
    copy_values(imag(out), im);
  }
  if (recording(re, im))
    record("Complex", out, {&re, &im}, {}, [](const Context& c) {
      if (c.needs(0)) c.set(0, real(c.gradient()));
      if (c.needs(1)) c.set(1, imag(c.gradient()));
    });
  return out;
}

const Operator complex_operator(
    {.signature = "complex(real, imag)",
     .forms = kFunction | kOut | kExactOut,
     .doc = "Compute real + i * imag of two float32 or two float64 tensors. Gradient: both operands, any order.",
     .forward = complex,
     .reference = "real + 1j * imag",
     .samples = "f(3), f(2, 3)"});

Tensor polar(const Tensor& radius, const Tensor& angle) {
  require_parts(radius, angle, "polar");
  return complex(radius * cos(angle), radius * sin(angle));
}

const Operator polar_operator({.signature = "polar(abs, angle)",
                               .forms = kFunction | kOut | kExactOut | kFloat32,
                               .doc = "Compute abs * (cos(angle) + i * sin(angle)) of two float32 or two float64 "
                                      "tensors. Gradient: both operands, any order.",
                               .forward = polar,
                               .reference = "abs * np.exp(1j * angle)",
                               .samples = "p(3), f(3)"});

const Operator isreal_operator(
    {.signature = "isreal(input)",
     .forms = kFunction | kMethod,
     .doc = "Return True for elements whose imaginary part is 0, and everywhere for real dtypes.",
     .forward = [](const Tensor& t) { return is_complex(t.dtype()) ? eq(imag(t), 0) : ones(t.shape(), Dtype::bool_); },
     .reference = "np.isreal(input)",
     .samples = "f(3); c(3)"});

}  // namespace flambeau
