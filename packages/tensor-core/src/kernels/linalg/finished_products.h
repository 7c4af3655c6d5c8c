// Products of packed matrices, with operations on their results.
#pragma once

#include "kernels/layers/networks.h"

namespace flambeau::kernels {

struct PackedMatrix : Matrix {
  // The same elements packed in panels, or null. Note [Packed matrices] in gemm_panels.h.
  const void* panels = nullptr;
  int64_t terms = 0;  // number of terms in a panel: k of the complete matrix
};

// Biases to add to a product, bounds for the sums, and a function `run` that is called with `context` for each complete
// block of the result. There is a bias for each row or for each column. All pointers may be null. `ldc`: the distance
// between the rows of the block in elements.
struct ProductFinish {
  const void *row_bias = nullptr, *column_bias = nullptr;
  const Bounds* limits = nullptr;
  void (*run)(const void* context, void* block, int64_t rows, int64_t columns, int64_t ldc) = nullptr;
  const void* context = nullptr;

  ProductFinish biases() const { return {row_bias, column_bias}; }
};

// Entries indexed [2] are for float32 and float64.
struct ProductTable {
  // Computes C (m x n, rows ldc elements apart) = A (m x k) * B (k x n), with a finish. B may also be given as runs.
  void (*finished_gemm[2])(int64_t m, int64_t n, int64_t k, const PackedMatrix& a, const PackedMatrix& b, void* c,
                           int64_t ldc, const ProductFinish& finish);
  void (*finished_gemm_runs[2])(int64_t m, int64_t n, int64_t k, const PackedMatrix& a, const RunsMatrix& b, void* c,
                                int64_t ldc, const ProductFinish& finish);
  // pack_rows packs the rows of A (m * k elements) into panels. pack_columns packs the columns of B, where n is rounded
  // up to complete panels.
  void (*pack_rows[2])(void* panels, int64_t m, int64_t k, const Matrix& a);
  void (*pack_columns[2])(void* panels, int64_t n, int64_t k, const Matrix& b);
  int64_t panel_rows, panel_columns[2];
};

inline const ProductTable& products() { return *networks().products; }

}  // namespace flambeau::kernels
