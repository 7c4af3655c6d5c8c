// Arguments of the kernels of scans. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kScanThreads = 256;

// Cumulative results along `length` of a contiguous tensor (outer, length, inner), in `parts` parts of `part` elements.
// A first launch computes the totals of the parts, (outer, parts, inner). In the second launch, each part starts from
// the combined totals of the preceding parts.
struct ScanArguments {
  const char* in;
  char* out[2];  // results, and the positions of extremes
  char* totals;
  int64_t outer, length, inner, part;
  int parts;
  int totals_only;  // 1: compute only the totals
};

}  // namespace flambeau::cuda
