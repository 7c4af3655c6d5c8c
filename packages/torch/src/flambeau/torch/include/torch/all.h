#pragma once

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
#include <torch/types.h>

namespace torch::nn {
template <class T>
class Module {
  static_assert(!sizeof(T*), "flambeau has no torch::nn in C++: write modules in Python");
};
}  // namespace torch::nn
