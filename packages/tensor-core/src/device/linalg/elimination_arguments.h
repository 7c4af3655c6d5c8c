// Arguments of the kernels of factorizations by elimination. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/linalg/matrices.h"
#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kEliminationPanel = 32;    // number of columns eliminated, or unknowns solved for, in one step
inline constexpr int kEliminationColumns = 64;  // right-hand sides per block
inline constexpr int kEliminationThreads = 256;

// Factors the columns [first, first + width) of matrices. `a` points to the element (first, first) and has `rows` rows.
struct PanelArguments {
  Matrices a;
  int64_t rows, width, first;
  int32_t *pivots, *info;  // counted from 1; info is 0 if no zero or invalid pivot occurred
  int64_t pivots_batch;
};

// Replaces b by the solution x of a x = b. `a` has at most kEliminationPanel rows.
struct TriangleArguments {
  Matrices a, b;
  int64_t count, size, columns;
  bool upper, unit;
};

// Exchanges rows, in all columns except [skipped, skipped + skip).
struct ExchangeArguments {
  Matrices a;
  int64_t count, rows, columns, skipped, skip;
  const int32_t* pivots;  // the pivots of the rows [first, first + steps)
  int64_t pivots_batch, first, steps;
  bool back;
  Reporter reporter;
};

struct OrderOfRowsArguments {
  const int32_t* pivots;
  int64_t* order;
  int64_t count, steps, rows;
  Reporter reporter;
};

}  // namespace flambeau::cuda
