// Kernels for elements of one or two bytes without conversion, in addition to those of table.h. Note [Narrow kernels]
#pragma once

#include "kernels/table.h"

namespace flambeau::kernels {

enum class Narrow : uint8_t { i8, u8, i16, mask, f16, bf16, none };
inline constexpr int kNarrowCount = 6;
inline Narrow narrow_type(Dtype d) {
  switch (d) {
    case Dtype::int8:
      return Narrow::i8;
    case Dtype::uint8:
      return Narrow::u8;
    case Dtype::int16:
      return Narrow::i16;
    case Dtype::bool_:
      return Narrow::mask;
    case Dtype::float16:
      return Narrow::f16;
    case Dtype::bfloat16:
      return Narrow::bf16;
    default:
      return Narrow::none;
  }
}

using RunningExtreme = void (*)(char* out, int64_t* indices, const char* in, int64_t length, int64_t inner,
                                int64_t width);

struct NarrowTable {
  PointwiseKernel pointwise[kPointwiseSlots][kNarrowCount];  // null if elements are converted to a wider type
  // Kernels for float16 and bfloat16 that read the last operand (with_number), or all operands after the first
  // (with_numbers), as float32.
  PointwiseKernel with_number[kPointwiseSlots][2], with_numbers[kPointwiseSlots][2];
  RunningExtreme cummax[kNarrowCount], cummin[kNarrowCount];  // null if elements are converted to a wider type
  bool is_slow[kPointwiseSlots];  // true if computing a value takes longer than reading it from a lookup table
  // True if the result modulo 2**n depends only on the operands modulo 2**n. Then a number of any size may be an
  // operand.
  bool is_modular[kPointwiseSlots];
  // to[i] = values[from[i]] with indices of 1 and 2 bytes and elements of 1, 2, 4 and 8 bytes.
  void (*look_up[2][4])(char* to, const char* from, const char* values, int64_t n);
};

const NarrowTable& narrow_table();

// Returns the kernel for elements of the dtype as stored in memory.
inline PointwiseKernel narrow_kernel(PointwiseOp op, Dtype d) {
  const Narrow type = narrow_type(d);
  return type == Narrow::none ? nullptr : narrow_table().pointwise[int(op)][int(type)];
}

}  // namespace flambeau::kernels
