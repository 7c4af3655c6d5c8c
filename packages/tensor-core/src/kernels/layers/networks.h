// The kernels of layers, in addition to those of table.h.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "flambeau/kernels/grid_points.h"
#include "kernels/table.h"

namespace flambeau::kernels {

// A sparse matrix. Its rows are divided into runs: all rows o of a run, first <= o < last, have the same number of
// nonzero elements (taps). Tap k of row o is in column index[i] and has the value weight[i], where i = offset + k *
// (last - first) + o - first. `uniform`: all taps of a row have the same value as the first one.
struct SparseRun {
  int64_t first, last, taps, offset;
};
struct Sparse {
  const SparseRun* runs;
  int64_t run_count, rows;
  const int32_t* index;
  const void* weight;
  bool uniform;
};

// Windows of up to three dimensions. Along each dimension, output o covers the positions start[o] + i * step, i <
// count[o].
struct MaxWindows {
  struct Axis {
    int64_t size, out, step;
    const int64_t *start, *count;
  } axes[3];
};
// Windows of equal size on images of fewer than 2**30 pixels. Each array contains (depth, height, width).
struct EqualWindows {
  std::array<int64_t, 3> size, out, kernel, stride, padding, dilation;
};

struct Moments {
  double mean, rstd;
};
// Rows of at most kShortNormalizedBytes bytes are normalised several rows at a time. The gradients of rows of at most
// kShortNormGradient elements are computed several rows at a time.
inline constexpr int64_t kShortNormalizedBytes = 480, kShortNormGradient = 31;

// A block of attention scores with a row for each query and a column for each key. Rows begin `row` elements apart, a
// multiple of kScoresUnit. The memory between the last column and the next row may be overwritten. If `causal`, row r
// attends to the first visible + r columns. The scores are multiplied by `scale`. Then the mask is added unless it is
// null; its rows begin `mask_row` elements apart.
inline constexpr int64_t kScoresUnit = 16;
struct Scores {
  int64_t rows, columns, row;
  bool causal;
  int64_t visible;
  const void* mask;
  int64_t mask_row;
  double scale = 1;
};

// Bounds to which results are limited. NaN stays NaN.
struct Bounds {
  double lowest = -std::numeric_limits<double>::infinity(), highest = std::numeric_limits<double>::infinity();
};

// One channel of an image and of its output, see Note [Depthwise convolution]. Distances are in elements.
struct ChannelPlane {
  int64_t rows, columns;  // size of the output, whose rows are contiguous
  int64_t image_row;      // distance in the image between the inputs of two output rows
  int64_t taps;
  const int32_t* offsets;  // offsets of the taps in the image
  Bounds limits;
};

// Tiles of Note [Winograd]: `rows` by `columns` tiles of a channel. Even and odd columns of the image are stored
// separately, the odd ones at an offset of `odd_columns`. The 16 values of a tile are `value_stride` elements apart. A
// vector may be written beyond the last tile.
struct WinogradTiles {
  int64_t rows, columns;
  int64_t image_row, odd_columns;
  int64_t value_stride;
  int64_t out_rows, out_columns;  // size of the output, which may be one less than twice the number of tiles
};

inline constexpr int64_t kPoints = 128;  // maximum number of points in a block
inline constexpr int kMaxTaps = 16;
template <class T>
struct Taps {  // taps of a block of points; a tap with the index -1 reads 0
  int32_t index[kMaxTaps][kPoints];
  T weight[kMaxTaps][kPoints];
  T slope[3][kMaxTaps][kPoints];  // derivatives of the weights with respect to the grid's coordinates, x first
};

// One sequence at one time step of a recurrent network, see recurrent_cells.def. Gates are contiguous rows of `size`
// units. Pointers that a cell does not use may be null.
struct CellRow {
  int64_t size;
  void* gates;
  const void* own;
  void *state, *hidden;
};
struct CellGradientRow {
  int64_t size;
  const void *gates, *own;  // own: for the last gate only
  const void *previous_state, *state, *previous_hidden;
  void *grad, *state_grad, *gate_grads, *own_grads;
};
inline constexpr int kCells = 4;

struct ProductTable;  // see linalg/finished_products.h

struct NetworkTable {
  const ProductTable* products;

  // Indexed by Cell in flambeau/operators/recurrent.h.
  void (*cell[kCells][2])(const CellRow& row);
  void (*cell_backward[kCells][2])(const CellGradientRow& row);

  // out[o * inner + i] = sum over the taps of row o of weight * in[index * inner + i]
  void (*resample[3])(const Sparse& matrix, const char* in, char* out, int64_t inner);

  // Find the largest value of each window and its position. NaN counts as the largest.
  void (*max_windows[3])(const MaxWindows& w, const char* in, char* out, int64_t* indices);
  void (*max_equal_windows[3])(const EqualWindows& w, const char* in, char* out, int64_t* indices);

  // out[r] = the p-norm of row - rows[r], for r < count. All rows have n elements.
  void (*distances[2])(const char* row, const char* rows, int64_t count, int64_t n, double p, char* out);
  // sums += grads[r] * the derivative of distances[r] with respect to `row`, for each r < count
  void (*distance_slopes[2])(const char* row, const char* rows, int64_t count, int64_t n, double p, const char* grads,
                             const char* distances, char* sums);

  // out[r] = scale * the sum of row r
  void (*row_sums[2])(const char* in, int64_t rows, int64_t length, char* out, double scale);
  // out = the sum of the table's rows at the indices, times their weights, which may be null
  void (*sum_rows[2])(const char* table, const int64_t* indices, const char* weights, int64_t count, int64_t width,
                      char* out);

  // Normalisation, see Note [Normalisation] in normalize.cpp. Weights and biases may be null.
  void (*moments[2])(const char* in, int64_t n, double* sum, double* square_sum, double centre);
  void (*affine[2])(char* out, const char* in, int64_t n, double centre, double scale, double shift);
  void (*normalize_row[2])(char* out, const char* in, const char* weight, const char* bias, int64_t n, Moments m);
  void (*norm_sums[2])(const char* grad, const char* in, const char* weight, int64_t n, double centre, double* grads,
                       double* products);
  void (*norm_gradient[2])(char* out, const char* grad, const char* in, const char* weight, int64_t n, double centre,
                           double of_grad, double of_in, double constant);
  // See Note [Attention] in operators/layers/attention.cpp. attend turns scores into weights, exp(score - maximum),
  // updates maxima and sums, and rescales the rows of `out`. For float, it also stores the weights as bfloat16 at
  // `weights`, in rows as long as those of the scores, unless that is null. attend_backward turns scores into
  // probabilities and `products` into the gradient of the scores.
  void (*attend[2])(const Scores& s, void* scores, void* weights, void* maxima, void* sums, void* out, int64_t width);
  void (*attend_backward[2])(const Scores& s, void* scores, void* products, const void* logarithms, const void* means,
                             double scale);

  // `taps` points to a Taps<float> or Taps<double>. sample_backward adds to the gradients of the image and of the
  // points, either of which may be null. The gradients of the points have kPoints elements for each coordinate.
  void (*place_taps[2])(const Sampling& s, const char* grid, int64_t points, void* taps, bool slopes);
  void (*sample[2])(const Sampling& s, int64_t points, const void* taps, const char* image, char* out);
  void (*sample_backward[2])(const Sampling& s, int64_t points, const void* taps, const char* image, const char* grad,
                             char* image_grad, char* point_grad);

  // For cross-entropy over `length` classes at `width` of the `inner` positions. log_sum_exp stores the maximum in
  // `largest` and the logarithm of the sum of exp(in - maximum) in `rest`. scaled_softmax computes factor * exp(in -
  // logarithm). Both also process a single row (inner and width are 1).
  void (*log_sum_exp[2])(const char* in, int64_t length, int64_t inner, int64_t width, char* largest, char* rest);
  void (*scaled_softmax[2])(char* out, const char* in, int64_t length, int64_t inner, int64_t width,
                            const char* logarithms, const char* factors);

  // Computes a step of Note [CTC] for all states: now[s] is own[s] plus the logarithm of the sum of exp(before[s]),
  // exp(before[s-1]) and, if skip[s], exp(before[s-2]). own[s] is the logarithm of the probability of the state's
  // label. before[-2] and before[-1] are also read.
  void (*ctc_step[2])(const char* before, const uint8_t* skip, const char* own, char* now, int64_t states);
  // Computes exp(alpha + beta + loss - own), the fraction of the probability in paths through each state.
  void (*ctc_shares[2])(const char* alpha, const char* beta, const char* own, char* shares, int64_t states,
                        double loss);

  // Normalisation kernels, like those above, for matrices (rows, columns) whose columns are channels. Each channel has
  // its own centre, scale and shift.
  void (*column_moments[2])(const char* in, int64_t rows, int64_t columns, int64_t row, const double* centre,
                            double* sums, double* squares);
  void (*column_affine[2])(char* out, const char* in, int64_t rows, int64_t columns, const char* centre,
                           const char* scale, const char* shift);
  void (*column_sums[2])(const char* grad, const char* in, int64_t rows, int64_t columns, int64_t row,
                         const double* centre, double* grads, double* products);
  void (*column_gradient[2])(char* out, const char* grad, const char* in, int64_t rows, int64_t columns,
                             const char* centre, const char* of_grad, const char* of_in, const char* constant);

  // Separates the even and the odd columns of a row.
  void (*split_columns[2])(const char* row, int64_t n, char* even, char* odd);
  void (*limit[2])(char* data, int64_t n, Bounds limits);
  void (*depthwise[2])(const ChannelPlane& p, const char* image, const char* weights, double bias, char* out);
  // winograd_input transforms a channel of the image, and winograd_output transforms the products of a filter. Note
  // [Winograd]
  void (*winograd_input[2])(const WinogradTiles& w, const char* image, char* out);
  void (*winograd_output[2])(const WinogradTiles& w, const char* products, double bias, char* out);

  void (*norm_columns[2])(const char* grad, const char* in, int64_t n, Moments m, double* weights, double* biases);
  // Complete layer and RMS normalisation of short rows of n elements. short_rows_gradient adds to the gradients of
  // weights and biases, unless these are null.
  void (*normalize_short_rows[2])(char* out, const char* in, const char* weight, const char* bias, int64_t rows,
                                  int64_t n, bool centred, double eps, Moments* moments);
  void (*short_rows_gradient[2])(char* out, const char* grad, const char* in, const char* weight, int64_t rows,
                                 int64_t n, bool centred, const Moments* moments, double* weights, double* biases);
};

inline const NetworkTable& networks() { return *table().networks; }

}  // namespace flambeau::kernels
