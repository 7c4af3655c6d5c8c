// What the kernels of sorting are told; both sides include this.
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
  int64_t count, length, queries;  // queries of each row; all of them where there is one sequence
  bool right;
};

struct CountArguments {
  const void* in;
  unsigned long long* counts;
  int64_t count, bins;
  double low, high;
};

}  // namespace flambeau::cuda
