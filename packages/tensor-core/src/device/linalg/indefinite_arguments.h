// Arguments of the kernels of LDL factorizations. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kIndefiniteThreads = 256, kIndefiniteColumns = 32;  // columns: right-hand sides per block

// Contiguous matrices whose upper triangles are zero.
struct IndefiniteArguments {
  void* a;
  int32_t *pivots, *info;
  int64_t size;
  bool hermitian;
};

// Replaces b by the solution x of a x = b. Both are contiguous.
struct IndefiniteSolveArguments {
  void *a, *b;
  const int32_t* pivots;
  int64_t count, size, columns;
  bool hermitian;
  Reporter reporter;
};

}  // namespace flambeau::cuda
