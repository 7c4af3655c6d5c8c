// How a kernel says what is wrong with its arguments; see src/cuda/runtime/report.h.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::cuda {

enum class Fault : int {
  Index,         // `first` is out of range for the size `second`
  Probability,   // one is not in [0, 1]
  Rate,          // of a Poisson distribution: `value`
  Weight,        // of a multinomial distribution: `value`, in row `first` at `second`
  Distribution,  // no weight of row `first` is positive
};

struct Report {
  int state;      // 0: none; 1: being written; 2: there is one, the first
  int operation;  // which operator
  Fault fault;
  int64_t first, second;
  double value;
};

struct Reporter {
  Report* report;  // in memory that the host reads
  int operation;
};

#ifdef FLAMBEAU_DEVICE
inline void report(const Reporter& reporter, Fault fault, int64_t first, int64_t second, double value) {
  Report& to = *reporter.report;
  if (atomicCAS(&to.state, 0, 1) != 0) return;
  to.operation = reporter.operation;
  to.fault = fault;
  to.first = first, to.second = second;
  to.value = value;
  __threadfence_system();
  atomicExch(&to.state, 2);
}

// The index itself, counted from the end where negative if `wraps`; 0, with a report, where it is out of range.
inline int64_t checked_index(const Reporter& reporter, int64_t index, int64_t size, bool wraps) {
  const int64_t at = wraps && index < 0 ? index + size : index;
  if (at >= 0 && at < size) return at;
  report(reporter, Fault::Index, index, size, 0);
  return 0;
}
#endif

}  // namespace flambeau::cuda
