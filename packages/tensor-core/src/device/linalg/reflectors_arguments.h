// Arguments of the kernels for Householder reflectors. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/linalg/matrices.h"

namespace flambeau::cuda {

inline constexpr int kReflectors = 32;  // maximum number of reflectors of a panel
inline constexpr int kReflectorThreads = 256;

// Factors a panel of at most kReflectors columns and at least as many rows.
struct ReflectorPanelArguments {
  Matrices a;
  int64_t rows, width;
  char* tau;
  int64_t tau_batch;
};

// Writes contiguous vectors, (count, rows, width), from the elements below the diagonals of `a`.
struct ReflectorVectorsArguments {
  Matrices a;
  char* vectors;
  int64_t count, rows, width;
};

// Computes the triangular factor T of 1 - V T V^H, (width, width), from the Gram matrix V^H V, or the adjoint of T.
// Arrays are contiguous.
struct ReflectorTriangleArguments {
  const char *tau, *gram;
  int64_t tau_batch, width;
  char* triangle;
  bool adjoint;
};

}  // namespace flambeau::cuda
