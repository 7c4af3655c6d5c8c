// The division of reductions and scans into blocks, as plain arithmetic that tests call on the host. It depends only on
// the shape, so that the order of additions, and therefore the result, is the same on all GPUs.
#pragma once

#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

struct Step {  // sizes of a contiguous step
  int64_t outer, length, inner;
};

struct ReducePlan {
  enum Kernel { kShortRows, kLongRows, kColumns, kWideColumns, kJoin } kernel;
  int lanes, slots;
  int64_t part, parts;
  Grid grid;
};
ReducePlan plan_of(const Step& step, int64_t item_size);
ReducePlan plan_of_lines(const Step& step, int64_t item_size);  // does not divide lines into parts

struct ScanPlan {
  enum Kernel { kShortRows, kRows, kColumns } kernel;
  int64_t part, parts;
  Grid grid;
};
// `in_order`: elements are joined sequentially.
ScanPlan scan_plan_of(const Step& step, int64_t item_size, bool in_order);

}  // namespace flambeau::cuda
