// The kernels of one family of pointwise operators. A kernel file defines FLAMBEAU_FAMILY and includes this file.
#include "kernels/pointwise/complex_pointwise.h"
#include "kernels/pointwise/pointwise_loops.h"

namespace flambeau::complex_pointwise::FLAMBEAU_ISA {
namespace {
#include "flambeau/kernels/pointwise_structs.h"
}  // namespace
}  // namespace flambeau::complex_pointwise::FLAMBEAU_ISA

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {
#include "flambeau/kernels/pointwise_structs.h"
}  // namespace

#define FLAMBEAU_FILL_FAMILY_(family) fill_##family
#define FLAMBEAU_FILL_FAMILY(family) FLAMBEAU_FILL_FAMILY_(family)
void FLAMBEAU_FILL_FAMILY(FLAMBEAU_FAMILY)(Table& table, NarrowTable& narrow) {
  int row = int(PointwiseFamily::FLAMBEAU_FAMILY) * kOperatorsPerFamily;
#define FLAMBEAU_FILL(name)                                                                           \
  fill_row<name##_row>(table, narrow, row);                                                           \
  complex_pointwise::FLAMBEAU_ISA::fill_row<complex_pointwise::FLAMBEAU_ISA::name##_row>(table, row); \
  ++row;
#define UNARY(name, ...) FLAMBEAU_FILL(name)
#define BINARY(name, ...) FLAMBEAU_FILL(name)
#define TERNARY(name, ...) FLAMBEAU_FILL(name)
#include "flambeau/pointwise.def"
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
