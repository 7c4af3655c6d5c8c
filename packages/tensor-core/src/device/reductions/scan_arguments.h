// Arguments of the kernels of scans. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

inline constexpr int kScanThreads = 256;

// Running results along the length of (outer, length, inner), contiguous, in `parts` parts of `part` places. The totals
// of the parts, (outer, parts, inner), come first; then each part begins with those before it.
struct ScanArguments {
  const char* in;
  char* out[2];  // results, and the places of extremes
  char* totals;
  int64_t outer, length, inner, part;
  int parts;
  int totalling;  // 1: compute only the totals
};

}  // namespace flambeau::cuda
