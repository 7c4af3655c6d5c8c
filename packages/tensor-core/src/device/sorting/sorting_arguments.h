// Arguments of the kernels of sorting. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// A pass over the digit of 8 bits at `shift` of rows of keys.
struct RadixArguments {
  const void* keys;
  const uint32_t* positions;  // null: 0, 1, 2, ...
  void* keys_out;
  uint32_t* positions_out;
  int64_t* counts;  // by row, digit, tile
  int64_t rows, length, tiles;
  int shift;
};

struct OrderArguments {
  const void* in;
  void* keys;
  const uint32_t* positions;
  void* values;  // these null where not wanted
  int64_t* indices;
  uint8_t* starts;
  int64_t rows, length;
  uint32_t padded;  // a short row's length as a power of two
  bool descending;
};

struct SearchArguments {
  const void *sequence, *values;
  const int64_t* sorter;  // null: the sequence is in order
  int64_t* out;
  int64_t count, length, queries;  // queries per row; all queries if there is one sequence
  bool right;
};

// Elements by their rank, found digit by digit from the highest on.
struct SelectionArguments {
  const void* in;
  int64_t rows, length, tiles;
  bool descending;
  int shift;                   // of the digit of 8 bits
  uint64_t* prefixes;          // of each row: the digits found so far
  int64_t* ranks;              // of each row: among the elements that have these
  unsigned long long* counts;  // (rows, 256), zeros between passes
  int64_t *less, *equal;       // (rows, tiles): how many are less than what was found, or equal to it
  int64_t* positions;          // (rows, chosen): of all up to that rank, the less before the equal, in their order
  int64_t chosen;              // 0: only of the one that has the rank, (rows)
};

}  // namespace flambeau::cuda
