// Arguments of the kernels of factorizations by elimination. Host and device code include this file.
#pragma once

#include <cstdint>

#include "device/linalg/matrices.h"
#include "device/threads/report.h"

namespace flambeau::cuda {

inline constexpr int kEliminationPanel = 32;    // columns that are eliminated, or unknowns that are solved for, at once
inline constexpr int kEliminationColumns = 64;  // right sides of a block
inline constexpr int kEliminationThreads = 256;

// Columns [first, first + width) of matrices whose elements from (first, first) on are `a`, `rows` of them.
struct PanelArguments {
  Matrices a;
  int64_t rows, width, first;
  int32_t *pivots, *info;  // counted from 1; info is 0 as long as all is well
  int64_t pivots_batch;
};

struct TriangleArguments {  // b becomes what solves a x = b; a has at most kEliminationPanel rows
  Matrices a, b;
  int64_t count, size, columns;
  bool upper, unit;
};

struct ExchangeArguments {  // rows of all columns but [skipped, skipped + skip)
  Matrices a;
  int64_t count, rows, columns, skipped, skip;
  const int32_t* pivots;  // of the rows [first, first + steps)
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
