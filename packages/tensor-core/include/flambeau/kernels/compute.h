// The types in which pointwise kernels compute, and the signature of such a kernel.
#pragma once

#include "flambeau/dtype.h"
#include "flambeau/pointwise_op.h"

namespace flambeau {

// Kernels exist for these types; every other dtype is converted on the way in and out, a cache-sized block at a time.
// u8 is for booleans and uint8 on a GPU, in operators that have such a kernel. On the CPU, some operators have separate
// kernels for dtypes of one or two bytes: Note [Narrow kernels].
enum class Compute : uint8_t { i32, i64, u64, f32, f64, c64, c128, u8 };
inline constexpr int kComputeCount = 8;
inline Compute compute_type(Dtype d) {
  switch (d) {
    case Dtype::int64:
    case Dtype::uint32:
      return Compute::i64;
    case Dtype::uint64:
      return Compute::u64;
    case Dtype::float64:
      return Compute::f64;
    case Dtype::complex64:
      return Compute::c64;
    case Dtype::complex128:
      return Compute::c128;
    default:
      return is_floating(d) ? Compute::f32 : Compute::i32;
  }
}
inline Dtype dtype_of(Compute c) {
  constexpr Dtype table[] = {Dtype::int32,   Dtype::int64,     Dtype::uint64,     Dtype::float32,
                             Dtype::float64, Dtype::complex64, Dtype::complex128, Dtype::uint8};
  return table[static_cast<int>(c)];
}

// A loop over n contiguous elements. pointers[0] is the output, and the operands follow. The output may be one of the
// operands.
using PointwiseKernel = void (*)(char* const* pointers, int64_t n);

inline constexpr int kMaxOperands = 3;

}  // namespace flambeau
