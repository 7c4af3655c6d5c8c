// The kernels of one family of rows: a kernel file includes pointwise_loops.h, names the family in FLAMBEAU_FAMILY and
// the function that puts its kernels into the tables in FLAMBEAU_FILL, and includes this.

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {
#include "flambeau/kernels/row_structs.h"
}  // namespace

void FLAMBEAU_FILL(Table& table, NarrowTable& narrow) {
#define UNARY(name, ...) fill_row<name##_row>(table, narrow, int(PointwiseOp::name));
#define BINARY(name, ...) fill_row<name##_row>(table, narrow, int(PointwiseOp::name));
#define TERNARY(name, ...) fill_row<name##_row>(table, narrow, int(PointwiseOp::name));
#include "flambeau/pointwise.def"
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
