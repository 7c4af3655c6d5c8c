// Arguments of the kernels of Householder's reflectors. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/linalg/matrices.h"

namespace flambeau::cuda {

inline constexpr int kReflectors = 32;  // of a panel
inline constexpr int kReflectorThreads = 256;

struct ReflectorPanelArguments {  // of at most kReflectors columns, and of at least as many rows
  Matrices a;
  int64_t rows, width;
  char* tau;
  int64_t tau_batch;
};

struct ReflectorVectorsArguments {  // contiguous (count, rows, width), from what is below the diagonals of `a`
  Matrices a;
  char* vectors;
  int64_t count, rows, width;
};

// The triangle T of 1 - V T V^H, (width, width), from V^H V; or that of the adjoint. Contiguous.
struct ReflectorTriangleArguments {
  const char *tau, *gram;
  int64_t tau_batch, width;
  char* triangle;
  bool adjoint;
};

}  // namespace flambeau::cuda
