// torch::autograd::backward() and grad(), which call flambeau.autograd.
#pragma once

#include <torch/types.h>

namespace torch::autograd {

inline bool any_variable_requires_grad(const variable_list& tensors) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const Variable& t) { return t.defined() && t.requires_grad(); });
}

inline void backward(const variable_list& tensors, const variable_list& gradients = {},
                     c10::optional<bool> retain_graph = c10::nullopt, bool create_graph = false,
                     const variable_list& inputs = {}) {
  using at::detail::Argument;
  at::detail::call_python_function(
      "autograd.backward", 4, "grad_variables inputs",
      {at::TensorList(tensors), gradients.empty() ? Argument(c10::nullopt) : Argument(at::TensorList(gradients)),
       retain_graph.value_or(create_graph), create_graph, c10::nullopt,
       inputs.empty() ? Argument(c10::nullopt) : Argument(at::TensorList(inputs))});
}

inline variable_list grad(const variable_list& outputs, const variable_list& inputs,
                          const variable_list& gradients = {}, c10::optional<bool> retain_graph = c10::nullopt,
                          bool create_graph = false, bool allow_unused = false) {
  using at::detail::Argument;
  return at::detail::call_python<variable_list>(
      "autograd.grad", 5, "only_inputs allow_unused",
      {at::TensorList(outputs), at::TensorList(inputs),
       gradients.empty() ? Argument(c10::nullopt) : Argument(at::TensorList(gradients)),
       retain_graph.value_or(create_graph), create_graph, true, allow_unused});
}

}  // namespace torch::autograd
