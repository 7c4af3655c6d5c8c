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

// A scope in which nothing is recorded for backward.
class NoGradGuard : ::flambeau::NoGrad {
 public:
  NoGradGuard() {}
};
// Sets for a scope whether operations are recorded for backward.
class AutoGradMode {
 public:
  explicit AutoGradMode(bool enabled) : former_(::flambeau::grad_enabled()) { ::flambeau::set_grad_enabled(enabled); }
  ~AutoGradMode() { ::flambeau::set_grad_enabled(former_); }
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
  static bool is_enabled() { return ::flambeau::grad_enabled(); }
  static void set_enabled(bool enabled) { ::flambeau::set_grad_enabled(enabled); }
};
// Recording is switched off below autograd.
struct AutoDispatchBelowAutograd : torch::NoGradGuard {};
using AutoNonVariableTypeMode = AutoDispatchBelowAutograd;
struct AutoDispatchBelowADInplaceOrView : torch::NoGradGuard {};
}  // namespace at

namespace torch {
using at::GradMode;
}
