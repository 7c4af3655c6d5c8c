// qr, and the error of flambeau.linalg.
#include "calls/bind.h"
#include "flambeau/linalg.h"

namespace flambeau::python {

void bind_factorizations() {
  constexpr int kOlder = kFunction | kMethod | kOut | kFloat32;
  def("qr(input, some=True)", kOlder,
      "``input = QR``, as flambeau.linalg.qr in the mode \"reduced\", or \"complete\" where not ``some``.",
      [](const Tensor& a, bool some) {
        const linalg::Qr f = linalg::qr(a, some ? "reduced" : "complete");
        return named_tuple("linalg_qr", {f.q, f.r});
      });
}

PyObject* linear_algebra_error() {
  static PyObject* const type = checked(PyErr_NewExceptionWithDoc(
      "flambeau.linalg.LinAlgError",
      "A matrix that the algorithm cannot go on with: singular, not positive definite, no convergence.",
      PyExc_RuntimeError, nullptr));
  return type;
}

}  // namespace flambeau::python
