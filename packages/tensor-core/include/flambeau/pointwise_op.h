// The numbers of pointwise operators. Note [Pointwise table] in pointwise.def
#pragma once

#include <cstdint>

namespace flambeau {

enum class PointwiseFamily : uint8_t {
#define FAMILY(name) name,
#include "flambeau/families.def"
};

// Each family has a separate range of numbers, so that a new operator neither changes the numbers of other families nor
// recompiles files that do not use its family.
enum class PointwiseOp : uint16_t {};
inline constexpr int kOperatorsPerFamily = 64;
inline constexpr int kPointwiseSlots = 0
#define FAMILY(name) +kOperatorsPerFamily
#include "flambeau/families.def"
    ;
constexpr PointwiseFamily family_of(PointwiseOp op) { return PointwiseFamily(int(op) / kOperatorsPerFamily); }

}  // namespace flambeau
