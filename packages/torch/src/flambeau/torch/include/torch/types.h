// The names of ATen in the namespace torch.
#pragma once

#include <ATen/ATen.h>

namespace torch {
using namespace at;
using at::arange;
using at::tensor;
using c10::optional;
namespace indexing = at::indexing;
using Dtype = c10::ScalarType;
using c10::dtype;
using c10::MemoryFormat;

// Disables the recording of operations for backward within a scope.
class NoGradGuard : ::flambeau::NoGrad {
 public:
  NoGradGuard() {}
};
// Enables or disables the recording of operations for backward within a scope.
class AutoGradMode {
 public:
  explicit AutoGradMode(bool enabled) : former_(::flambeau::grad_mode()) { ::flambeau::set_grad_mode(enabled); }
  ~AutoGradMode() { ::flambeau::set_grad_mode(former_); }
  AutoGradMode(const AutoGradMode&) = delete;

 private:
  bool former_;
};

namespace autograd {
using Variable = at::Tensor;
using variable_list = std::vector<Variable>;
}  // namespace autograd
}  // namespace torch

namespace at {
using torch::AutoGradMode;
using torch::NoGradGuard;
struct GradMode {
  static bool is_enabled() { return ::flambeau::grad_mode(); }
  static void set_enabled(bool enabled) { ::flambeau::set_grad_mode(enabled); }
};
// PyTorch's guards for kernels that run below autograd. Here, they disable recording.
struct AutoDispatchBelowAutograd : torch::NoGradGuard {};
using AutoNonVariableTypeMode = AutoDispatchBelowAutograd;
struct AutoDispatchBelowADInplaceOrView : torch::NoGradGuard {};
}  // namespace at

namespace torch {
using at::GradMode;
}
