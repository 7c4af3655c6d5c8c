// Arguments of the kernels of sorting. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// A pass of a radix sort: sorts rows of keys by the 8-bit digit at bit `shift`.
struct RadixArguments {
  const void* keys;
  const uint32_t* positions;  // null means 0, 1, 2, ...
  void* keys_out;
  uint32_t* positions_out;
  int64_t* counts;  // indexed by row, digit and tile
  int64_t rows, length, tiles;
  int shift;
};

struct OrderArguments {
  const void* in;
  void* keys;
  const uint32_t* positions;
  void* values;  // null if not requested
  int64_t* indices;
  uint8_t* starts;
  int64_t rows, length;
  uint32_t padded;  // length of a short row, rounded up to a power of two
  bool descending;
};

struct SearchArguments {
  const void *sequence, *values;
  const int64_t* sorter;  // null if the sequence is sorted
  int64_t* out;
  int64_t count, length, queries;  // queries: the number per row, or the total number if there is only one sequence
  bool right;
};

// Radix selection of the elements with given ranks, from the most significant digit on.
struct SelectionArguments {
  const void* in;
  int64_t rows, length, tiles;
  bool descending;
  int shift;                   // position of the 8-bit digit, in bits
  uint64_t* prefixes;          // for each row: the known digits of the result
  int64_t* ranks;              // for each row: the rank among the elements with these digits
  unsigned long long* counts;  // (rows, 256); the counts are zero between passes
  int64_t *less, *equal;       // (rows, tiles): number of elements that are less than the result, or equal to it
  // (rows, chosen): positions of the elements up to the rank: first the smaller elements, then the equal ones, both in
  // the order of the row.
  int64_t* positions;
  int64_t chosen;  // 0: `positions` has the shape (rows) and contains only the position of the selected element
};

}  // namespace flambeau::cuda
