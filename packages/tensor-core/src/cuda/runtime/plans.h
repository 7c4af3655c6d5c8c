// The division of reductions and scans into blocks, as plain arithmetic, which tests call on the host. It depends only
// on the shape, so that the order of additions, and with it the result, is the same on all GPUs.
#pragma once

#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

struct Step {  // sizes of a contiguous tensor that is reduced along its middle dimension
  int64_t outer, length, inner;
};

struct ReducePlan {
  enum Kernel { kShortRows, kLongRows, kColumns, kWideColumns, kJoin } kernel;
  int lanes, slots;
  int64_t part, parts;
  Grid grid;
};
ReducePlan plan_of(const Step& step, int64_t item_size);
ReducePlan plan_of_lines(const Step& step, int64_t item_size);  // the same, but each line has only one part

struct ScanPlan {
  enum Kernel { kShortRows, kRows, kColumns } kernel;
  int64_t part, parts;
  Grid grid;
};
// `in_order`: combine the elements of a line sequentially.
ScanPlan scan_plan_of(const Step& step, int64_t item_size, bool in_order);

}  // namespace flambeau::cuda
