// Arguments of the kernels of bags. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/threads/report.h"

namespace flambeau::cuda {

// Bag b consists of the rows of the table with the indices indices[begins[b]] to indices[begins[b + 1] - 1].
struct BagArguments {
  const void *table, *factors;  // factors: one value per index, or null
  const int64_t *indices, *begins;
  void* out;
  int64_t *extremes, *sizes;  // extremes: the row of each maximum; null unless the mode is max
  int64_t bags, entries, width, rows, padding;
  bool mean;
  Reporter reporter;
};

}  // namespace flambeau::cuda
