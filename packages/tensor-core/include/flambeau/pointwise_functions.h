// The pointwise operators of FLAMBEAU_FAMILY as functions, name(x), name(x, y) or name(x, y, z), and their numbers,
// op::name. Only pointwise/<family>.h includes this file.
#include "flambeau/pointwise.h"

namespace flambeau {

namespace op {
namespace FLAMBEAU_FAMILY {
enum {
  before = int(PointwiseFamily::FLAMBEAU_FAMILY) * kOperatorsPerFamily - 1,
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#include "flambeau/pointwise.def"
  end
};
static_assert(end <= (int(PointwiseFamily::FLAMBEAU_FAMILY) + 1) * kOperatorsPerFamily);
}  // namespace FLAMBEAU_FAMILY
#define UNARY(name, ...) inline constexpr PointwiseOp name = PointwiseOp(FLAMBEAU_FAMILY::name);
#define BINARY(name, ...) inline constexpr PointwiseOp name = PointwiseOp(FLAMBEAU_FAMILY::name);
#define TERNARY(name, ...) inline constexpr PointwiseOp name = PointwiseOp(FLAMBEAU_FAMILY::name);
#include "flambeau/pointwise.def"
}  // namespace op

// Operands are tensors or numbers.
#define UNARY(name, ...) FLAMBEAU_API Tensor name(const Tensor& x);
#define BINARY(name, ...) FLAMBEAU_API Tensor name(const Operand& x, const Operand& y);
#define TERNARY(name, ...) FLAMBEAU_API Tensor name(const Operand& x, const Operand& y, const Operand& z);
#include "flambeau/pointwise.def"

}  // namespace flambeau

#undef FLAMBEAU_FAMILY
