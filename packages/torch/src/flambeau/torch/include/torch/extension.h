// The header that C++ extensions include: the interfaces of ATen and libtorch, and pybind11.
#pragma once

#include <torch/all.h>
#include <torch/python.h>

namespace py = pybind11;
