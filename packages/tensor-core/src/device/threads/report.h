// Functions with which a kernel reports an error in its arguments; see src/cuda/runtime/report.h.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau::cuda {

enum class Fault : int {
  Index,         // `first` is out of range for the size `second`
  Probability,   // a probability, `value`, is not in [0, 1]
  Rate,          // the rate of a Poisson distribution, `value`, is invalid
  Weight,        // a weight of a multinomial distribution, `value`, is invalid; in row `first` at position `second`
  Distribution,  // no weight of row `first` is positive
};

struct Report {
  int state;      // 0: no report; 1: a report is being written; 2: the report is complete; later reports are discarded
  int operation;  // the operator that the kernel belongs to
  Fault fault;
  int64_t first, second;
  double value;
};

struct Reporter {
  Report* report;  // the memory of the report, which the host can also read
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

// Returns the index. If `wraps`, `size` is first added to a negative index. If the result is out of range, reports an
// error and returns 0.
inline int64_t checked_index(const Reporter& reporter, int64_t index, int64_t size, bool wraps) {
  const int64_t at = wraps && index < 0 ? index + size : index;
  if (at >= 0 && at < size) return at;
  report(reporter, Fault::Index, index, size, 0);
  return 0;
}
#endif

}  // namespace flambeau::cuda
