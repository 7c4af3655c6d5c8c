// Arguments of the kernels of matrix products. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

// The division of a product (m x k) * (k x n). Each block computes a tile of the result, for a part of k.
struct Division {
  int64_t m, n, k, batch;
  int64_t rows, columns;       // numbers of tiles along m and n
  int64_t parts, part_length;  // number and length of the parts of k
  int64_t blocks() const { return rows * columns * batch * parts; }
  int64_t elements() const { return m * n * batch; }
};

// Element (i, j) of matrix b is at data + b * batch + i * row + j * column. Strides are in elements.
struct Operand2D {
  const char* data;
  int64_t row, column, batch;
};

struct ProductArguments {
  Division division;
  char* partial;  // sums of the parts, (parts, batch, m, n); null if there is only one part
  Operand2D left, right;
  char* out;
  int64_t out_row, out_column, out_batch;
  const char* bias;  // one value per column, or null
  int64_t bias_stride;
};

}  // namespace flambeau::cuda
