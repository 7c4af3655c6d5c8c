// The tiles of the matrix product of bfloat16. Internal.
#pragma once

#include <cstdint>

namespace flambeau::kernels::bfloat16_tile {

// The caller divides rows and columns among threads in multiples of a tile. Products of at most kFewRows rows are
// summed in another order, so a thread must not get so few rows of a product with more.
inline constexpr int64_t kRows = 12, kColumns = 32, kFewRows = 4;
static_assert(kFewRows < kRows);

}  // namespace flambeau::kernels::bfloat16_tile
