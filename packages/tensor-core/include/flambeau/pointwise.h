// The pointwise operators as data, and how one is run. Note [Rows] in pointwise.def says what a row means.
#pragma once

#include <array>
#include <span>

#include "flambeau/autograd.h"
#include "flambeau/pointwise_op.h"
#include "flambeau/row_domain.h"

namespace flambeau {

// Kernels exist for these types; every other dtype is converted on the way in and out, a cache-sized block at a time.
// u8: for booleans and uint8 on a GPU, of the rows that have such a kernel. Of the dtypes of one or two bytes some rows
// have kernels of their own on the CPU: Note [Narrow kernels].
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

// Contiguous loop over n elements: pointers[0] is the output, the operands follow. The output may be one of the
// operands.
using PointwiseKernel = void (*)(char* const* pointers, int64_t n);

inline constexpr int kMaxOperands = 3;

// The largest error, in units in the last place of the result, or of `scale` (an expression of the row's operands)
// where that is larger.
struct Accuracy {
  double float32, float64;
  const char* scale;
};
namespace accuracy {  // the names that rows use
constexpr Accuracy ulp(double float32, double float64, const char* scale = "") { return {float32, float64, scale}; }
constexpr Accuracy ulp(double both) { return {both, both, ""}; }
inline constexpr Accuracy exact = ulp(0), rounded = ulp(0.5);
}  // namespace accuracy

struct PointwiseRow {
  PointwiseOp op;
  const char* name;
  const char* node_name;  // CamelCase, for grad_fn
  Domain domain;
  uint8_t arity;
  bool differentiable;
  bool has_parameters;    // its operands after the first are numbers that do not take part in promotion
  const char* signature;  // the names of its parameters, with their defaults
  Accuracy accuracy;
  const char* doc;
  const char* reference;
  const char* value;
  const char* derivatives[kMaxOperands];  // the row's own text
  // Bit i: operand i; bit `arity`: the result. What the derivative of each operand reads, beside grad.
  uint8_t reads[kMaxOperands];
  // The derivative as differentiable tensor expressions; null where there is none.
  Tensor (*expression[kMaxOperands])(const Tensor& grad, const Tensor* operands, const Tensor& result);
};

FLAMBEAU_API std::span<const PointwiseRow> pointwise_rows();
struct PointwiseAlias {
  const char *alias, *name;
};
FLAMBEAU_API std::span<const PointwiseAlias> pointwise_aliases();
FLAMBEAU_API extern const std::array<const PointwiseRow*, kPointwiseSlots> rows_by_number;
inline const PointwiseRow& row_of(PointwiseOp op) { return *rows_by_number[size_t(op)]; }
FLAMBEAU_API bool takes_complex(PointwiseOp op);  // its value expression has a meaning for complex numbers

// A tensor or a number. A number promotes as Python numbers do and is never materialised.
struct Operand {
  Operand(const Tensor& t) : tensor(&t) {}
  Operand(Scalar s) : scalar(s) {}
  Operand(double v) : scalar(v) {}
  Operand(int v) : scalar(v) {}
  const Tensor* tensor = nullptr;
  Scalar scalar;
};

// Runs a row and records it. `out`, if given, receives the result (resized and cast as PyTorch does).
FLAMBEAU_API Tensor pointwise(PointwiseOp op, const Operand* operands, const Tensor* out = nullptr);
// Runs it in place on operands[0], which must be a tensor.
FLAMBEAU_API Tensor pointwise_(PointwiseOp op, const Operand* operands);
// The dtype the operands promote to.
FLAMBEAU_API Dtype result_type(const Operand* operands, int count);

// Runs any kernel over broadcast operands without recording: output[...] = kernel(operands[...]).
// The output's shape is the broadcast shape; every operand is converted to `in`, the result from `from` to its dtype.
FLAMBEAU_API void run_kernel(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                             int count, Dtype in);

FLAMBEAU_API const char* instruction_set();  // that the kernels in use were compiled for

}  // namespace flambeau
