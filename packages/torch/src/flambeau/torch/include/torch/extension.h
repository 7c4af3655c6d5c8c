// The header that C++ extensions include: ATen, libtorch and pybind11 in PyTorch's names.
#pragma once

#include <torch/all.h>
#include <torch/python.h>

namespace py = pybind11;
