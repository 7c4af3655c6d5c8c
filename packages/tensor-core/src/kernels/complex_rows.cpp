// Kernels of every family of rows for complex numbers. Note [Complex rows]
#include "kernels/complex_rows.h"

namespace flambeau::complex_rows::FLAMBEAU_ISA {

namespace {
#include "flambeau/kernels/row_structs.h"
}  // namespace

}  // namespace flambeau::complex_rows::FLAMBEAU_ISA

namespace flambeau::kernels::FLAMBEAU_ISA {

void fill_complex_rows(Table& table) {
#define UNARY(name, ...) \
  complex_rows::FLAMBEAU_ISA::fill_row<complex_rows::FLAMBEAU_ISA::name##_row>(table, int(PointwiseOp::name));
#define BINARY(name, ...) \
  complex_rows::FLAMBEAU_ISA::fill_row<complex_rows::FLAMBEAU_ISA::name##_row>(table, int(PointwiseOp::name));
#define TERNARY(name, ...) \
  complex_rows::FLAMBEAU_ISA::fill_row<complex_rows::FLAMBEAU_ISA::name##_row>(table, int(PointwiseOp::name));
#include "flambeau/pointwise.def"
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
