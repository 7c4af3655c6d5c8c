// How a kernel says that an index was out of range; see src/cuda/report.h.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::cuda {

struct Report {
  int taken;      // 1: there is one; the first counts
  int operation;  // which operator
  int64_t index, size;
};

struct Reporter {
  Report* report;  // in memory that the host reads
  int operation;
};

#ifdef FLAMBEAU_DEVICE
// The index itself, counted from the end where negative if `wraps`; 0, with a report, where it is out of range.
inline int64_t checked_index(const Reporter& reporter, int64_t index, int64_t size, bool wraps) {
  const int64_t at = wraps && index < 0 ? index + size : index;
  if (at >= 0 && at < size) return at;
  if (atomicExch(&reporter.report->taken, 1) == 0) {
    reporter.report->operation = reporter.operation;
    reporter.report->index = index;
    reporter.report->size = size;
  }
  return 0;
}
#endif

}  // namespace flambeau::cuda
