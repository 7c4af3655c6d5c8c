// Complex numbers.
#include "calls/bind.h"

namespace flambeau::python {

namespace {
constexpr int kBoth = kFunction | kMethod;
}  // namespace

void bind_complex() {
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
