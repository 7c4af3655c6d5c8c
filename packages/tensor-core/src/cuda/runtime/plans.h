// The division of reductions and scans into blocks, as plain arithmetic, which tests call on the host. The division
// depends only on the shape, so that the order of additions, and therefore the result, is the same on all GPUs.
#pragma once

#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

struct Step {  // sizes of a contiguous tensor that is reduced along its middle dimension
  int64_t outer, length, inner;
};

struct ReducePlan {
  // The last kernel is kJoin for reductions and kHeldRows for lines. kHeldRows has `lanes` threads per block.
  enum Kernel { kShortRows, kLongRows, kColumns, kWideColumns, kJoin, kHeldRows = kJoin } kernel;
  int lanes, slots;
  int64_t part, parts;
  Grid grid;
};
ReducePlan plan_of(const Step& step, int64_t item_size);
// Like plan_of(), for operations that write lines. `inputs`: number of input tensors. Each line has only one part.
ReducePlan plan_of_lines(const Step& step, int64_t item_size, int64_t inputs);

struct JoinPlan {  // for combining states (outer, length, inner) along `length`
  int lanes, slots;
  Grid grid;
};
JoinPlan join_plan_of(const Step& step);

struct ScanPlan {
  enum Kernel { kShortRows, kRows, kColumns } kernel;
  int64_t part, parts;
  Grid grid;
};
// `in_order`: combine the elements of a line sequentially.
ScanPlan scan_plan_of(const Step& step, int64_t item_size, bool in_order);

}  // namespace flambeau::cuda
