// What the kernel of bags is told; both sides include this.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

struct BagArguments {           // bag b is of the rows indices[begins[b]] to indices[begins[b + 1] - 1]
  const void *table, *factors;  // of each index, or null
  const int64_t *indices, *begins;
  void* out;
  int64_t *extremes, *sizes;  // extremes: the row of each largest value; null unless it is these that are wanted
  int64_t bags, entries, width, rows, padding;
  bool mean;
  Reporter reporter;
};

}  // namespace flambeau::cuda
