// Products of integers in one thread: matrix products C = alpha * A * B + beta * C, exact modulo 2**64, and inner
// products of vectors, exact modulo 2**n for integers of n bits.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "flambeau/kernels/simd.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

using Lanes = Simd<int64_t>;
using Vector = Lanes::Vector;
constexpr int kVectors = kVectorBytes == 64 ? 4 : 2;  // vectors in a row of a tile
constexpr int64_t kColumns = kVectors * Lanes::kLanes, kDepth = 256, kRows = 4;

struct Output {
  int64_t *c, ldc, columns, alpha, beta;
};

// Computes `rows` rows of C and at most kColumns columns, with sums in registers. Rows of b have kColumns elements.
template <int rows>
void tile(int64_t depth, const int64_t* a, const Matrix& as, const int64_t* b, const Output& out) {
  Vector sums[rows][kVectors] = {};
  for (int64_t p = 0; p < depth; ++p, a += as.column, b += kColumns)
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] += a[r * as.row] * Lanes::load(b + v * Lanes::kLanes);
  for (int r = 0; r < rows; ++r) {
    int64_t line[kColumns], *c = out.c + r * out.ldc;
    for (int v = 0; v < kVectors; ++v) Lanes::store(line + v * Lanes::kLanes, sums[r][v] * out.alpha);
    for (int64_t j = 0; j < out.columns; ++j) c[j] = out.beta ? line[j] + out.beta * c[j] : line[j];
  }
}

// Multiplies without vector instructions, for matrices with too few columns to fill a vector.
void few_columns(int64_t m, int64_t n, int64_t k, const int64_t* a, const Matrix& as, const int64_t* b,
                 const Matrix& bs, Output out) {
  for (int64_t i = 0; i < m; ++i, a += as.row, out.c += out.ldc)
    for (int64_t j = 0; j < n; ++j) {
      int64_t sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += a[p * as.column] * b[p * bs.row + j * bs.column];
      out.c[j] = out.alpha * sum + (out.beta ? out.beta * out.c[j] : 0);
    }
}

void gemm(int64_t m, int64_t n, int64_t k, double alpha, Matrix as, Matrix bs, double beta, void* c_data, int64_t ldc) {
  const auto *a = static_cast<const int64_t*>(as.data), *b = static_cast<const int64_t*>(bs.data);
  Output out{static_cast<int64_t*>(c_data), ldc, 0, int64_t(alpha), int64_t(beta)};
  if (n < Lanes::kLanes || k == 0) return few_columns(m, n, k, a, as, b, bs, out);
  auto* const packed = static_cast<int64_t*>(scratch(Scratch::ProductB, size_t(kDepth * kColumns) * sizeof(int64_t)));
  for (int64_t jc = 0; jc < n; jc += kColumns) {
    out.columns = std::min(kColumns, n - jc);
    for (int64_t pc = 0; pc < k; pc += kDepth) {
      const int64_t depth = std::min(kDepth, k - pc);
      std::memset(packed, 0, size_t(depth * kColumns) * sizeof(int64_t));
      for (int64_t p = 0; p < depth; ++p)
        for (int64_t j = 0; j < out.columns; ++j)
          packed[p * kColumns + j] = b[(pc + p) * bs.row + (jc + j) * bs.column];
      out.beta = pc == 0 ? int64_t(beta) : 1;
      int64_t i = 0;
      const auto next = [&](auto kernel, int64_t rows) {
        out.c = static_cast<int64_t*>(c_data) + i * ldc + jc;
        kernel(depth, a + i * as.row + pc * as.column, as, packed, out);
        i += rows;
      };
      while (i + kRows <= m) next(tile<kRows>, kRows);
      while (i < m) next(tile<1>, 1);
    }
  }
}

// Adds the inner product of x and y to `out`. T: the unsigned integer type with the size of an element. Bytes are
// summed in 16 bits, because no vector instructions multiply bytes.
template <class T>
void dot(const void* x_data, const void* y_data, int64_t n, void* out) {
  using Sum = std::conditional_t<sizeof(T) == 1, uint16_t, T>;
  const T *x = static_cast<const T*>(x_data), *y = static_cast<const T*>(y_data);
  Sum sum = 0;
  for (int64_t i = 0; i < n; ++i) sum = Sum(sum + Sum(x[i]) * Sum(y[i]));
  *static_cast<T*>(out) = T(*static_cast<T*>(out) + sum);
}

}  // namespace

void fill_integer_gemm(Table& table) {
  table.gemm[2] = gemm;
  table.integer_dot[0] = dot<uint8_t>;
  table.integer_dot[1] = dot<uint16_t>;
  table.integer_dot[2] = dot<uint32_t>;
  table.integer_dot[3] = dot<uint64_t>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
