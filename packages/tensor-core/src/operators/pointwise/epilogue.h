// Pointwise steps that are applied to a result while it is computed.
//
// Note [Epilogues]
// `relu(conv(x) + y)` as three operators writes memory three times. An epilogue applies the operators that follow a
// convolution or a matrix product to each piece of the result as soon as the piece is complete, while it is in a cache.
// It calls the same kernels as the operators, so results are identical to theirs. An algorithm passes each element of
// its result to the epilogue exactly once, in contiguous pieces. Steps that limit the result to an interval (relu,
// clamp, hardtanh) have a separate kernel, which keeps the bounds in registers. If such a step is the only one,
// products and the depthwise convolution apply the bounds before they store the result.
#pragma once

#include <optional>
#include <vector>

#include "flambeau/pointwise.h"
#include "kernels/linalg/finished_products.h"

namespace flambeau {

using kernels::Bounds;

class Epilogue {
 public:
  // An operand of a step: the current value of the result, a number, or a tensor with the shape and the layout of the
  // result.
  struct Source {
    enum Kind : uint8_t { Result, Number, Elements } kind = Result;
    Scalar number = {};
    const Tensor* tensor = nullptr;
  };

  explicit Epilogue(Dtype dtype) : size_(item_size(dtype)), dtype_(dtype) {}
  // Adds a step that runs a kernel from chain_kernel().
  void add(PointwiseKernel kernel, std::span<const Source> operands);
  // Adds a step that only limits the values of the result.
  void add(Bounds limits) { steps_.push_back({.limits = limits}); }
  bool empty() const { return steps_.empty(); }
  // Returns true if an operand of a step is a tensor other than the result.
  bool reads_tensors() const;
  // If there is one step and it only limits the values, returns the limits. Otherwise returns nothing.
  std::optional<Bounds> limits() const {
    return steps_.size() == 1 && !steps_[0].kernel ? std::optional(steps_[0].limits) : std::nullopt;
  }
  // Sets the address of the result's first element. Call it before apply().
  void set_result(char* data) { result_ = data; }

  void apply(char* piece, int64_t n) const;
  // Returns this epilogue in the form that matrix products accept. The returned object contains a pointer to this
  // epilogue.
  kernels::ProductFinish finish() const;

 private:
  // Number of elements that a step processes at a time. It is so small that the operands of three steps fit in a cache.
  static constexpr int64_t kPiece = 512;
  struct Step {
    PointwiseKernel kernel = nullptr;  // null if the step only limits values
    Bounds limits = {};
    int count = 0;
    Source::Kind kinds[kMaxOperands] = {};
    const char* data[kMaxOperands] = {};  // elements of the tensor, or kPiece copies of the number
  };

  std::vector<Step> steps_;
  std::vector<Tensor> numbers_;
  int64_t size_;
  Dtype dtype_;
  char* result_ = nullptr;
};

}  // namespace flambeau
