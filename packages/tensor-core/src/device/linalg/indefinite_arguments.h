// Arguments of the kernels of LDL factorizations. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kIndefiniteThreads = 256, kIndefiniteColumns = 32;  // columns: right sides of a block

struct IndefiniteArguments {  // contiguous matrices, their upper triangles zeros
  void* a;
  int32_t *pivots, *info;
  int64_t size;
  bool hermitian;
};

struct IndefiniteSolveArguments {  // b becomes what solves a x = b; contiguous
  void *a, *b;
  const int32_t* pivots;
  int64_t count, size, columns;
  bool hermitian;
  Reporter reporter;
};

}  // namespace flambeau::cuda
