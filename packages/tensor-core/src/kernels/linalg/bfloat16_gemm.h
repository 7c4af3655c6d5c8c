// Matrix products of bfloat16.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace flambeau::kernels {

namespace bfloat16_tile {

// The caller divides rows and columns among threads in multiples of these numbers, which are multiples of the tile
// sizes of all kernels. Products of at most kFewRows rows are summed in another order, so a thread must not get so few
// rows of a larger product.
inline constexpr int64_t kRows = 48, kColumns = 32, kFewRows = 4;
static_assert(kFewRows < kRows);

}  // namespace bfloat16_tile

// Returns true if the processor and the system support Intel's Advanced Matrix Extensions (AMX). The first call asks
// the operating system to allow the AMX registers for this process.
bool uses_amx();  // kernels/table.cpp

namespace amx {
// Like Table::bfloat16_gemm. Call it only if uses_amx() is true.
void multiply_bfloat16(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, int64_t ldc,
                       bool adds);
}  // namespace amx

}  // namespace flambeau::kernels
