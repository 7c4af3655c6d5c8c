// Complex numbers.
#include "bind.h"

namespace flambeau::python {

namespace {
constexpr int kBoth = kFunction | kMethod;
}  // namespace

void bind_complex() {
  def("complex(real, imag)", kFunction | kOut,
      "real + i * imag, of two float32 or two float64 tensors. Gradient: both, any order.", complex);
  def("polar(abs, angle)", kFunction | kOut | kFloat32,
      "abs * (cos(angle) + i * sin(angle)), of two float32 or two float64 tensors. Gradient: both, any order.", polar);
  def("real(input)", kFunction, "The real parts, a view; a real tensor itself. Gradient: a real one.",
      [](PyObject* t) -> PyObject* {
        require<TypeError>(is_tensor(t), "real(): argument 'input' (position 1) must be Tensor, not ",
                           Py_TYPE(t)->tp_name);
        return is_complex(tensor_of(t).dtype()) ? wrap_tensor(real(tensor_of(t))) : Py_NewRef(t);
      });
  def("imag(input)", kFunction, "The imaginary parts of a complex tensor, a view. Gradient: an imaginary one.", imag);
  def("view_as_real(input)", kFunction, "A complex tensor as pairs of real numbers, (*, 2): a view.", view_as_real);
  def("view_as_complex(input)", kFunction | kFloat32,
      "Pairs of real numbers, (*, 2) with the pairs next to each other, as complex numbers: a view.", view_as_complex);
  def("conj(input)", kBoth,
      "The complex conjugate, a copy; a real tensor itself. Gradient: the conjugate.\n\nThere are no tensors that are "
      "conjugated only when they are read: is_conj() is always False.",
      [](Self self) -> PyObject* {
        return is_complex(tensor_of(self).dtype()) ? wrap_tensor(conj(tensor_of(self))) : Py_NewRef(self);
      });
  for (const char* signature : {"resolve_conj(input)", "resolve_neg(input)"})
    def(signature, kBoth, "The tensor itself: nothing is left to be conjugated or negated.",
        [](Self self) { return Py_NewRef(self); });
  for (const char* signature : {"is_conj(input)", "is_neg(input)"})
    def(signature, kBoth, "False: conjugation and negation are not put off.", [](const Tensor&) { return false; });
  def("is_complex(input)", kBoth, "Whether the dtype is a complex one.",
      [](const Tensor& t) { return is_complex(t.dtype()); });
  def("isreal(input)", kBoth, "Where the imaginary part is 0; everywhere for real dtypes.",
      [](const Tensor& t) { return is_complex(t.dtype()) ? eq(imag(t), 0) : ones(t.shape(), Dtype::bool_); });
  def("adjoint(input)", kBoth, "The last two dimensions exchanged, conjugated. Gradient: input.", [](const Tensor& t) {
    require(t.dim() != 1, "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.");
    return t.dim() ? transpose(conj(t), -2, -1) : conj(t);
  });
  def("__complex__(input)", kMethod, "The single element as a Python complex number.", [](const Tensor& t) {
    const Complex<double> value = item(t).complex();
    return PyComplex_FromDoubles(value.re, value.im);
  });
}

}  // namespace flambeau::python
