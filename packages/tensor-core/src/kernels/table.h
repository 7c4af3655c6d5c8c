// The kernel table: one set of contiguous loops per instruction set, which is selected once when the library is loaded.
// Kernels know neither tensors nor threads; their callers divide the work.
#pragma once

#include <array>

#include "flambeau/kernels/compute.h"
#include "flambeau/kernels/optimizer_rule.h"
#include "kernels/linalg/factorization.h"
#include "kernels/linalg/jacobi.h"

namespace flambeau::kernels {

// Strides are in bytes.
using CastKernel = void (*)(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n);
// Reduces the middle dimension of a row-major array (outer, length, inner), for the columns [0, width) of `inner`.
// width < inner only if outer is 1.
using ReduceKernel = void (*)(char* out, const char* in, int64_t outer, int64_t length, int64_t inner, int64_t width);
struct ReduceEntry {
  ReduceKernel run;
  Dtype result;  // dtype of accumulation and result
};
// Like ReduceKernel, but computes the position of the first extreme value. NaN counts as extreme.
using ArgReduceKernel = void (*)(int64_t* out, const char* in, int64_t outer, int64_t length, int64_t inner,
                                 int64_t width);
// Computes cumulative results or a softmax along the columns [0, width) of `length` rows that are `inner` elements
// apart.
using ScanKernel = void (*)(char* out, const char* in, int64_t length, int64_t inner, int64_t width);
using RowKernel = void (*)(char* out, const char* in, int64_t rows, int64_t length);
using RowBackwardKernel = void (*)(char* out, const char* grad, const char* result, int64_t rows, int64_t length);

struct IndexRange {
  bool any_negative, any_outside;
};

enum class Reduce : uint8_t;  // see kernels/reduction_numbers.h
inline constexpr int kReduceStateBytes = 32;

// Cumulative sums and products, see kernels/cumulative.cpp.
enum class Scan : uint8_t { Sum, Prod };
inline constexpr int kScanCount = 2;
// Kernels for consecutive blocks of n elements, see kernels/cumulative.cpp. Totals and `before` are accumulators of
// `state` bytes.
inline constexpr int64_t kScanBlock = 136;  // elements of a block
struct ScanKernels {
  ScanKernel rows;
  void (*totals)(char* totals, const char* in, int64_t blocks, int64_t n);
  void (*blocks)(char* out, const char* in, char* before, int64_t blocks, int64_t n, bool running);
  int64_t state;
};

struct Matrix {  // element (i, j) at data + i * row + j * column
  const void* data;
  int64_t row, column;
};

// A batch of products. Operands and results of consecutive products are a, b and c elements apart.
struct Batch {
  int64_t count, a, b, c;
};

// A matrix that is not stored as such. Element (i, j) is at data + rows[i] + run.offset + j - run.column, where `run`
// is the run with the columns from run.column to run.column + run.length - 1 that contains j. A vector may be read
// beyond the end of a run.
struct Run {
  int64_t column, offset, length;
};
struct RunsMatrix {
  const void* data;
  const int32_t* rows;
  const Run* runs;
  int64_t count;
};

// Arguments of Note [Shifted products] in shifted_products.cpp; distances are in elements. The runs, of at most 256
// elements each, contain the offsets of the positions in the image. There is one additional run after the last.
struct ShiftedProducts {
  int64_t channels, filters, taps;
  const void* image;  // consecutive channels are image_row elements apart
  int64_t image_row;
  const int32_t* offsets;  // offsets of the taps in a channel
  const Run* runs;
  int64_t count;
  const void* grad;  // (filters, positions); consecutive rows are grad_row elements apart
  int64_t grad_row;
  bool add;  // true: add to the weights; false: overwrite them
};

// Random words are generated in groups of 64: sixteen Philox counters of four words each.
inline constexpr int64_t kGroup = 64;

struct Patches {  // windows of a convolution on the image of one sample and group; arrays are (depth, height, width)
  int64_t channels;
  std::array<int64_t, 3> size, kernel, out, stride, padding, dilation;
};

// Direct convolution, see Note [Direct convolution]. Weights are packed in panels of several filters, each with the
// layout (taps, filters). Images and outputs have kDirectSlack additional elements at their end.
inline constexpr int kDirectRows = 8;
inline constexpr int64_t kDirectSlack = 64;
// Returns the height of all panels except the last one. All panels have about the same height.
FLAMBEAU_INLINE int64_t direct_panel_rows(int64_t rows) {
  const int64_t panels = (rows + kDirectRows - 1) / kDirectRows;
  return (rows + panels - 1) / panels;
}
struct DirectWeights {
  int64_t rows, taps, columns, samples;  // columns: a multiple of 16
  int64_t grad_stride, image_stride;     // distance between samples in elements
};

struct NetworkTable;  // kernels of layers: networks.h
struct FourierJob;    // linalg/fourier.h

inline constexpr int64_t kRowSlack = 64;

inline constexpr int64_t kShortOrderRows = 16, kShortOrderMaxLength = 64;

// Entries indexed [2] are for float32 and float64; entries indexed [3] are also for int64.
struct Table {
  const char* name;
  PointwiseKernel pointwise[kPointwiseSlots][kComputeCount];
  // Operands: grad, then the values that the derivative reads, in order. The last index is the index of an inexact
  // type, see derivative_of. The entry is null if the tensor expression has to be used.
  PointwiseKernel derivative[kPointwiseSlots][kMaxOperands][4];
  bool returns_real[kPointwiseSlots];         // true if complex operands have a real result
  CastKernel cast[kDtypeCount][kDtypeCount];  // [to][from]
  // Copies rows of words of 1, 2, 4 and 8 bytes to contiguous memory. Row r begins at `from` + r * row_stride, and its
  // words are `step` bytes apart. If `step` is 0, repeats the first word. May write up to kRowSlack bytes beyond the
  // last word.
  void (*copy_rows[4])(char* to, const char* from, int64_t row_stride, int64_t step, int64_t length, int64_t rows);
  // Sets to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns, for words of 2, 4 and 8 bytes. Strides
  // are in elements.
  void (*transpose_words[3])(char* to, int64_t to_row, const char* from, int64_t from_row, int64_t rows,
                             int64_t columns);
  // Returns whether any index is negative, and whether any index is outside [low, size).
  IndexRange (*check_entries)(const int64_t* entries, int64_t n, int64_t low, int64_t size);
  ReduceEntry reduce[kReduceStateBytes][kDtypeCount];
  ArgReduceKernel argmax[kDtypeCount], argmin[kDtypeCount];
  // Stores the positions (rows, k) of the first k <= kShortOrderMaxLength elements, in order, of each row of n < 2**32
  // elements. If `flips`, the largest elements come first. This is faster than other algorithms for at least
  // kShortOrderRows rows.
  void (*short_order[kDtypeCount])(int64_t* out, const char* in, int64_t rows, int64_t n, int64_t k, bool flips);
  // Computes means and sums of squared deviations of floating types, in float32 for half precision.
  void (*moments[kDtypeCount])(char* mean, char* squares, const char* in, int64_t length, int64_t inner, int64_t width);
  double (*squared_deviation[2])(const char* in, int64_t length, double mean);
  RowKernel softmax[2], log_softmax[2], logsumexp[2];
  ScanKernel softmax_columns[2], log_softmax_columns[2];  // softmax along the columns
  RowBackwardKernel softmax_backward[2], log_softmax_backward[2];
  ScanKernels scan[kScanCount][kComputeCount];
  void (*cummax[kComputeCount])(char* out, int64_t* indices, const char* in, int64_t length, int64_t inner,
                                int64_t width);
  void (*cummin[kComputeCount])(char* out, int64_t* indices, const char* in, int64_t length, int64_t inner,
                                int64_t width);
  ScanKernel logcumsumexp[4];  // for the inexact types except half precision
  // Computes C (m x n, rows ldc apart) = alpha * A (m x k) * B (k x n) + beta * C, for float32, float64 and int64.
  void (*gemm[3])(int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, void* c, int64_t ldc);
  void (*gemm_batch[2])(const Batch& batch, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, void* c, int64_t ldc);
  // Computes C = A * B or, if `adds`, C += A * B, for bfloat16 with sums in float32. C is m x n with rows `ldc`
  // elements apart, A is m x k and B is k x n. Null if the processor has no instructions for it.
  void (*bfloat16_gemm)(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, int64_t ldc,
                        bool adds);
  // Computes the sum of the products x[i] * y[i] of n complex numbers, for complex64 and complex128.
  void (*complex_dot[2])(const void* x, const void* y, int64_t n, void* out);
  void (*integer_dot[4])(const void* x, const void* y, int64_t n, void* out);  // by size; add to the integer `out`
  Factorizations factorizations[4];  // for float32, float64, complex64 and complex128, like jacobi
  Jacobi jacobi[4];
  // unfold() stores an image as a matrix (channels * taps, output positions) with rows `row` elements apart. fold() is
  // the transposed operation and adds to the image.
  void (*unfold[3])(const Patches& patches, const char* image, char* columns, int64_t row);
  void (*unfold_words)(const Patches& patches, const char* image, char* columns, int64_t row);  // words have two bytes
  void (*fold[3])(const Patches& patches, const char* columns, char* image, int64_t row);
  void (*direct[2])(int64_t rows, int64_t panel, int64_t taps, int64_t columns, const char* weights, const char* image,
                    const int32_t* offsets, const char* bias, char* out, int64_t ldo);
  void (*direct_weight[2])(const DirectWeights& d, const char* grads, const char* images, const int32_t* offsets,
                           char* out);
  void (*shifted_products[2])(const ShiftedProducts& s, void* weights);  // weights: (filters, channels, taps)
  const NetworkTable* networks;
  // Computes the transforms [first, last) of a job. scratch: 4 * (length + 1) numbers for each lane.
  void (*fourier[2])(const FourierJob& job, int64_t first, int64_t last, void* scratch);
  void (*fourier_single[2])(const FourierJob& job, int64_t first, int64_t last, void* scratch);
  int fourier_lanes[2];
  void (*random_bits)(uint32_t* out, int64_t groups, uint64_t seed, uint64_t first_group);
  void (*normal)(float* out, int64_t groups, const uint32_t* bits);  // kGroup standard normal numbers for each group
  void (*dropout[2])(char* out, const char* in, int64_t n, uint32_t threshold, double scale, const uint32_t* bits);
  const OptimizerRule* optimizers;
  int optimizer_count;
};

const Table& table();  // for the best instruction set that this processor supports

inline PointwiseKernel derivative_of(PointwiseOp op, int operand, Dtype in) {
  return table().derivative[int(op)][operand][int(compute_type(in)) - int(Compute::f32)];
}

}  // namespace flambeau::kernels
