// Complex numbers.
#include "bind.h"

namespace flambeau::python {

namespace {
constexpr int kBoth = kFunction | kMethod;
}  // namespace

void bind_complex() {
  def("real(input)", kFunction, "The real parts, a view; a real tensor itself. Gradient: a real one.",
      [](PyObject* t) -> PyObject* {
        require<TypeError>(is_tensor(t), "real(): argument 'input' (position 1) must be Tensor, not ",
                           Py_TYPE(t)->tp_name);
        return is_complex(tensor_of(t).dtype()) ? wrap_tensor(real(tensor_of(t))) : Py_NewRef(t);
      });
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
  def("__complex__(input)", kMethod, "The single element as a Python complex number.", [](const Tensor& t) {
    const Complex<double> value = item(t).complex();
    return PyComplex_FromDoubles(value.re, value.im);
  });
}

}  // namespace flambeau::python
