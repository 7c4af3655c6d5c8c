// The pointwise operators as an enumeration. Note [Rows] in pointwise.def
#pragma once

#include <cstdint>

namespace flambeau {

enum class PointwiseOp : uint8_t {
#define FLAMBEAU_EVERY_FAMILY
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#include "flambeau/pointwise.def"
};

}  // namespace flambeau
