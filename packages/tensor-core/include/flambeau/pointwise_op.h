// The numbers of pointwise operators. Note [Rows] in pointwise.def
#pragma once

#include <cstdint>

namespace flambeau {

enum class RowFamily : uint8_t {
#define FAMILY(name) name,
#include "flambeau/families.def"
};

// A family has its own range of numbers, so that a new row does not change the numbers in other families, nor recompile
// what does not use the family.
enum class PointwiseOp : uint16_t {};
inline constexpr int kRowsPerFamily = 64;
inline constexpr int kPointwiseSlots = 0
#define FAMILY(name) +kRowsPerFamily
#include "flambeau/families.def"
    ;
constexpr RowFamily family_of(PointwiseOp op) { return RowFamily(int(op) / kRowsPerFamily); }

}  // namespace flambeau
