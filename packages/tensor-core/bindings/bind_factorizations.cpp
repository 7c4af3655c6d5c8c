// Factorizations and the systems they solve: functions of flambeau.linalg, and their older forms at the top level.
#include "bind.h"
#include "flambeau/linalg.h"

namespace flambeau::python {

namespace {

constexpr int kOlder = kFunction | kMethod | kOut;

PyObject* named(const char* name, const CholeskyFactor& f) { return named_tuple(name, {f.factor, f.info}); }
PyObject* named(const char* name, const linalg::Lu& f) { return named_tuple(name, {f.p, f.l, f.u}); }
PyObject* named(const char* name, const linalg::Qr& f) { return named_tuple(name, {f.q, f.r}); }

void bind_triangular() {}

void bind_cholesky() {
  def("cholesky(input, upper=False)", kOlder | kFloat32,
      "The Cholesky factor of every matrix, as flambeau.linalg.cholesky.", linalg::cholesky);
}

void bind_lu() {}

void bind_ldl() {}

void bind_systems() {}

void bind_qr() {
  def("qr(input, some=True)", kOlder | kFloat32,
      "``input = QR``, as flambeau.linalg.qr in the mode \"reduced\", or \"complete\" where not ``some``.",
      [](const Tensor& a, bool some) { return named("linalg_qr", linalg::qr(a, some ? "reduced" : "complete")); });
  def("orgqr(input, input2)", kOlder | kFloat32,
      "The columns of Q from its reflectors, as flambeau.linalg.householder_product.", linalg::householder_product);
}

}  // namespace

void bind_factorizations() {
  bind_triangular();
  bind_cholesky();
  bind_lu();
  bind_ldl();
  bind_systems();
  bind_qr();
}

PyObject* linear_algebra_error() {
  static PyObject* const type = checked(PyErr_NewExceptionWithDoc(
      "flambeau.linalg.LinAlgError",
      "A matrix that the algorithm cannot go on with: singular, not positive definite, no convergence.",
      PyExc_RuntimeError, nullptr));
  return type;
}

}  // namespace flambeau::python
