// Checks of the matrices of linear algebra operators.
#include "operators/linalg/linalg_checks.h"

namespace flambeau::linalg {

namespace {

void check_dimensions(const char* name, const Tensor& t, const char* argument) {
  require(t.dim() >= 2, "linalg.", name, ": The input tensor ", argument,
          " must have at least 2 dimensions, got shape ", t.shape());
}

}  // namespace

void check_matrix(const char* name, const Tensor& t, const char* argument) {
  check_dimensions(name, t, argument);
  check_inexact(name, t);
}

void check_square(const char* name, const Tensor& t, const char* argument) {
  check_dimensions(name, t, argument);
  require(t.size(-1) == t.size(-2), "linalg.", name, ": ", argument,
          " must be batches of square matrices, but they are ", t.size(-2), " by ", t.size(-1), " matrices");
  check_inexact(name, t);
}

}  // namespace flambeau::linalg
