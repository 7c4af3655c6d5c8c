// Declarations for the runs of merged convolutions and products. Note [Merged products]
#pragma once

#include <optional>

#include "operators/pointwise/epilogue.h"
#include "program/merged_product.h"

namespace flambeau::program {

using Arguments = const Value* const*;

// Returns true for a contiguous CPU tensor that needs no gradient.
bool fits(const Tensor& t);
inline bool is_real(Dtype dtype) { return dtype == Dtype::float32 || dtype == Dtype::float64; }

// Returns the tensor of an argument, or an undefined tensor for None and other values.
const Tensor& tensor_of(const Value& v);

// Returns memory for packed weights.
Tensor panel_memory(int64_t elements, Dtype dtype);

// Builds an epilogue that runs the steps of a merged product on a result of the given shape and dtype. The caller sets
// the address of the result.
class EpilogueBuilder {
 public:
  EpilogueBuilder(const MergedProduct& merged, Arguments operands, const Shape& shape, Dtype dtype)
      : merged_(merged), operands_(operands), shape_(shape), dtype_(dtype) {}

  // Returns nothing if an epilogue cannot run the steps, for example because an operand has another shape or dtype than
  // the result.
  std::optional<Epilogue> build() const;

 private:
  bool is_result(const StepOperand& o) const { return o.is_step || o.number == merged_.result; }
  std::optional<double> number(const StepOperand& o) const;
  std::optional<Bounds> limits_of(const FusedStep& step) const;
  std::optional<Epilogue::Source> source_of(const StepOperand& o) const;

  const MergedProduct& merged_;
  const Arguments operands_;
  const Shape& shape_;
  const Dtype dtype_;
};

}  // namespace flambeau::program
