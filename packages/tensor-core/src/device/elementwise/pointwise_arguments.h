// Arguments of the pointwise kernels. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// kPointers: maximum number of tensors of a kernel, namely the output and the inputs of a derivative (gradient, three
// operands and result). A kernel has up to kNumbers - 1 operands. If it has more than kPointers - 1, the last ones are
// numbers.
inline constexpr int kPointers = 6, kNumbers = 16;
inline constexpr int kLoopDims = 12;
inline constexpr int kRowPart = 128;  // number of elements of a row that a warp processes

// Computes n / divisor for n < 2**31 by a multiplication (Granlund, Montgomery 1994): the high word of n * multiplier,
// plus n, is shifted right.
struct Divider {
  uint32_t divisor = 1, multiplier = 0, shift = 0;

  Divider() = default;
  explicit Divider(uint32_t d) : divisor(d) {
    while (shift < 31 && (uint32_t(1) << shift) < d) ++shift;
    multiplier = uint32_t(((uint64_t(1) << 32) * ((uint64_t(1) << shift) - d)) / d + 1);
  }
  uint32_t quotient(uint32_t n) const { return uint32_t((((uint64_t(n) * multiplier) >> 32) + n) >> shift); }
};

struct PointwiseArguments {
  int64_t count;
  char* pointers[kPointers];    // pointers[0] is the output
  double numbers[kNumbers][2];  // scalar operands: real and imaginary part, or the bits of an integer
};

// Arguments for tensors that are not contiguous. The strides are in bytes, and the dimensions are ordered from the
// innermost to the outermost. In the kernels `packs` and `rows`, the innermost dimension and `count` are in packs or in
// parts of kRowPart elements, and `row` is the number of elements of a row. The kernels for contiguous tensors do not
// have these arguments, because the driver takes longer to launch a kernel with more bytes of arguments.
struct StridedArguments : PointwiseArguments {
  int dims;
  int64_t row;
  Divider sizes[kLoopDims];
  int64_t strides[kPointers][kLoopDims];
};

}  // namespace flambeau::cuda
