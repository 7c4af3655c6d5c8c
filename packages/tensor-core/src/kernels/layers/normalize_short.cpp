// Normalisation of rows that are too short to fill vectors. Many rows at a time are transposed, so that each row is a
// lane. Note [Normalisation]
#include <algorithm>
#include <cmath>

#include "kernels/fold.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kRows = 32;  // rows that are transposed together

template <class T, int64_t length>
struct TransposedRows {
  alignas(64) T at[length][kRows];
  // The same element of two buffers gets different offsets in a page. With equal offsets, loads would wait for stores.
  char padding[1088];

  // Reads rows that are `n` elements apart. Lanes without a row are zero.
  void read(const T* in, int64_t rows, int64_t n) {
    if (rows < kRows) std::fill_n(at[0], n * kRows, T(0));
    transpose(at[0], kRows, in, n, rows, n);
  }
  void write(T* out, int64_t rows, int64_t n) const { transpose(out, n, at[0], kRows, n, rows); }
};

template <class T>
const T* cast(const char* bytes) {
  return reinterpret_cast<const T*>(bytes);
}

template <class T>
void normalize_short_rows(char* out, const char* in, const char* weight, const char* bias, int64_t rows, int64_t n,
                          bool centred, double eps, Moments* moments) {
  const T *w = cast<T>(weight), *b = cast<T>(bias);
  TransposedRows<T, kShortNormalizedBytes / sizeof(T)> x;
  for (int64_t r = 0; r < rows; r += kRows, moments += kRows) {
    const int64_t count = std::min(kRows, rows - r);
    x.read(cast<T>(in) + r * n, count, n);
    T centre[kRows] = {}, values[kRows] = {}, squares[kRows] = {}, mean[kRows], rstd[kRows];
    if (centred) {
      for (int64_t k = 0; k < n; ++k)
        for (int64_t j = 0; j < kRows; ++j) centre[j] += x.at[k][j];
      for (int64_t j = 0; j < kRows; ++j) centre[j] /= T(n);
    }
    for (int64_t k = 0; k < n; ++k)
      for (int64_t j = 0; j < kRows; ++j) {
        const T d = x.at[k][j] - centre[j];
        values[j] += d;
        squares[j] += d * d;
      }
    for (int64_t j = 0; j < kRows; ++j) {
      const double rest = centred ? double(values[j]) / double(n) : 0;  // the rounding error of the mean
      const double variance = double(squares[j]) / double(n) - rest * rest;
      const double exact = double(centre[j]) + rest, inverse = 1 / std::sqrt((variance < 0 ? 0 : variance) + eps);
      mean[j] = T(exact);
      rstd[j] = T(inverse);
      if (j < count) moments[j] = {exact, inverse};
    }
    for (int64_t k = 0; k < n; ++k) {
      const T scale = w ? w[k] : T(1), shift = b ? b[k] : T(0);
      for (int64_t j = 0; j < kRows; ++j) x.at[k][j] = (x.at[k][j] - mean[j]) * rstd[j] * scale + shift;
    }
    x.write(reinterpret_cast<T*>(out) + r * n, count, n);
  }
}

// Each lane adds the elements of its rows. After this many rows, the sums of the lanes are added to the result.
constexpr int64_t kRowsPerSum = 8 * kRows;
template <class T>
void add_lanes(double* totals, T (*lanes)[kRows], int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    halve_lanes<Add, kRows, 1>(lanes[k]);
    totals[k] += double(lanes[k][0]);
    std::fill_n(lanes[k], kRows, T(0));
  }
}

template <class T>
void short_rows_gradient(char* out, const char* grad, const char* in, const char* weight, int64_t rows, int64_t n,
                         bool centred, const Moments* moments, double* weights, double* biases) {
  const T* w = cast<T>(weight);
  TransposedRows<T, kShortNormGradient + 1> x, g, of_weight, of_bias;
  if (weights) {
    std::fill_n(of_weight.at[0], n * kRows, T(0));
    std::fill_n(of_bias.at[0], n * kRows, T(0));
  }
  for (int64_t r = 0; r < rows; r += kRows, moments += kRows) {
    const int64_t count = std::min(kRows, rows - r);
    x.read(cast<T>(in) + r * n, count, n);
    g.read(cast<T>(grad) + r * n, count, n);
    T mean[kRows] = {}, rstd[kRows] = {}, grads[kRows] = {}, products[kRows] = {}, of_in[kRows], constant[kRows];
    for (int64_t j = 0; j < count; ++j) {
      mean[j] = T(moments[j].mean);
      rstd[j] = T(moments[j].rstd);
    }
    for (int64_t k = 0; k < n; ++k) {
      const T scale = w ? w[k] : T(1);
      for (int64_t j = 0; j < kRows; ++j) {
        const T d = x.at[k][j] - mean[j], scaled = g.at[k][j] * scale;
        x.at[k][j] = d;
        grads[j] += scaled;
        products[j] += scaled * d;
      }
    }
    for (int64_t j = 0; j < kRows; ++j) {
      of_in[j] = -rstd[j] * rstd[j] * rstd[j] * products[j] / T(n);
      constant[j] = centred ? -rstd[j] * grads[j] / T(n) : T(0);
    }
    for (int64_t k = 0; k < n; ++k) {
      const T scale = w ? w[k] : T(1);
      if (weights)
        for (int64_t j = 0; j < kRows; ++j) {
          of_weight.at[k][j] += g.at[k][j] * (x.at[k][j] * rstd[j]);
          of_bias.at[k][j] += g.at[k][j];
        }
      for (int64_t j = 0; j < kRows; ++j)
        x.at[k][j] = rstd[j] * (g.at[k][j] * scale) + (of_in[j] * x.at[k][j] + constant[j]);
    }
    x.write(reinterpret_cast<T*>(out) + r * n, count, n);
    if (weights && ((r + kRows) % kRowsPerSum == 0 || r + kRows >= rows)) {
      add_lanes(weights, of_weight.at, n);
      add_lanes(biases, of_bias.at, n);
    }
  }
}

template <class T, int I>
void fill(NetworkTable& table) {
  table.normalize_short_rows[I] = normalize_short_rows<T>;
  table.short_rows_gradient[I] = short_rows_gradient<T>;
}

}  // namespace

void fill_normalize_short(NetworkTable& table) {
  fill<float, 0>(table);
  fill<double, 1>(table);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
