// Note [Normalisation]
// Layer, group, batch and RMS normalisation map each element x of a row to (x - centre) * scale * weight + bias. The
// weight is either one number for the row (the weight of its channel) or one number for each position. The gradient of
// a row is
// rstd * (g' - mean(g') - h * mean(g' * h)) with h = (x - mean) * rstd and g' = grad * weight. It needs two sums, and
// then one pass that is linear in grad and x. Blocks are summed in the type of the row, and the sums of blocks are
// added in double precision.
#include "kernels/fold.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kLanes = 32, kTailLanes = 8, kBlock = 4096;

// Adds the sums of f_0, f_1, ... over i < n to `totals`. f(i, terms) stores the values f_c(i) in terms[c].
template <class T, int Count, class F>
FLAMBEAU_INLINE void add_up(int64_t n, double (&totals)[Count], F f) {
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = begin + kBlock < n ? begin + kBlock : n;
    T lanes[Count][kLanes] = {};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (int64_t l = 0; l < kLanes; ++l) {
        T terms[Count];
        f(i + l, terms);
        for (int c = 0; c < Count; ++c) lanes[c][l] += terms[c];
      }
    for (; i + kTailLanes <= end; i += kTailLanes)
      for (int64_t l = 0; l < kTailLanes; ++l) {
        T terms[Count];
        f(i + l, terms);
        for (int c = 0; c < Count; ++c) lanes[c][l] += terms[c];
      }
    for (; i < end; ++i) {
      T terms[Count];
      f(i, terms);
      for (int c = 0; c < Count; ++c) lanes[c][0] += terms[c];
    }
    for (int c = 0; c < Count; ++c) {
      double wide[kLanes];
      for (int64_t l = 0; l < kLanes; ++l) wide[l] = double(lanes[c][l]);
      if (n >= kTailLanes) halve_lanes<Add, kLanes, 1>(wide);
      totals[c] += wide[0];
    }
  }
}

template <class T>
const T* cast(const char* bytes) {
  return reinterpret_cast<const T*>(bytes);
}

// Adds the sum of x - centre and the sum of its square to the results.
template <class T>
void moments(const char* in, int64_t n, double* sum, double* square_sum, double centre) {
  const T* x = cast<T>(in);
  const T c = T(centre);
  double totals[2] = {};
  add_up<T, 2>(n, totals, [x, c](int64_t i, T(&terms)[2]) __attribute__((always_inline)) {
    const T d = x[i] - c;
    terms[0] = d;
    terms[1] = d * d;
  });
  *sum += totals[0];
  *square_sum += totals[1];
}

template <class T>
void affine(char* out_bytes, const char* in, int64_t n, double centre, double scale, double shift) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* x = cast<T>(in);
  const T c = T(centre), a = T(scale), b = T(shift);
  for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - c) * a + b;
}

template <class T>
void normalize_row(char* out_bytes, const char* in, const char* weight, const char* bias, int64_t n, Moments m) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T *x = cast<T>(in), *w = cast<T>(weight), *b = cast<T>(bias);
  const T mean = T(m.mean), rstd = T(m.rstd);
  if (w && b)
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd * w[i] + b[i];
  else if (w)
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd * w[i];
  else if (b)
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd + b[i];
  else
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd;
}

// Adds the sum of g' and the sum of g' * (x - centre) to the results. For g' see Note [Normalisation].
template <class T>
void norm_sums(const char* grad, const char* in, const char* weight, int64_t n, double centre, double* grads,
               double* products) {
  const T *g = cast<T>(grad), *x = cast<T>(in), *w = cast<T>(weight);
  const T c = T(centre);
  double totals[2] = {};
  if (w)
    add_up<T, 2>(n, totals, [=](int64_t i, T(&terms)[2]) __attribute__((always_inline)) {
      terms[0] = g[i] * w[i];
      terms[1] = terms[0] * (x[i] - c);
    });
  else
    add_up<T, 2>(n, totals, [=](int64_t i, T(&terms)[2]) __attribute__((always_inline)) {
      terms[0] = g[i];
      terms[1] = g[i] * (x[i] - c);
    });
  *grads += totals[0];
  *products += totals[1];
}

// Writes of_grad * g' + of_in * (x - centre) + constant, with g' of Note [Normalisation].
template <class T>
void norm_gradient(char* out_bytes, const char* grad, const char* in, const char* weight, int64_t n, double centre,
                   double of_grad, double of_in, double constant) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T *g = cast<T>(grad), *x = cast<T>(in), *w = cast<T>(weight);
  const T mean = T(centre), a = T(of_grad), b = T(of_in), c = T(constant);
  if (w)
    for (int64_t i = 0; i < n; ++i) out[i] = a * (g[i] * w[i]) + (b * (x[i] - mean) + c);
  else
    for (int64_t i = 0; i < n; ++i) out[i] = a * g[i] + (b * (x[i] - mean) + c);
}

// Adds a row's contribution to the gradients of weights and biases with one value for each position in the row.
template <class T>
void norm_columns(const char* grad, const char* in, int64_t n, Moments m, double* weights, double* biases) {
  const T *g = cast<T>(grad), *x = cast<T>(in);
  const T mean = T(m.mean), rstd = T(m.rstd);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    weights[i] += double(g[i] * ((x[i] - mean) * rstd));
    biases[i] += double(g[i]);
  }
}

constexpr int64_t kTile = 64, kTileRows = 128;  // columns and rows of a tile that is summed in T

// Adds two sums over all rows to sums[c] and others[c]. terms(row, c, a, b) adds the terms of an element to a and b.
// Tiles are summed in T, their sums in double.
template <class T, class F>
FLAMBEAU_INLINE void add_columns(int64_t rows, int64_t columns, double* sums, double* others, F terms) {
  for (int64_t c = 0; c < columns; c += kTile) {
    const int64_t width = columns - c < kTile ? columns - c : kTile;
    for (int64_t r = 0; r < rows; r += kTileRows) {
      const int64_t stop = r + kTileRows < rows ? r + kTileRows : rows;
      T first[kTile] = {}, second[kTile] = {};
      for (int64_t row = r; row < stop; ++row)
        for (int64_t i = 0; i < width; ++i) terms(row, c + i, first[i], second[i]);
      for (int64_t i = 0; i < width; ++i) {
        sums[c + i] += double(first[i]);
        others[c + i] += double(second[i]);
      }
    }
  }
}

template <class T>
void column_moments(const char* in, int64_t rows, int64_t columns, int64_t row, const double* centre, double* sums,
                    double* squares) {
  const T* x = cast<T>(in);
  add_columns<T>(rows, columns, sums, squares, [=](int64_t r, int64_t c, T& a, T& b) __attribute__((always_inline)) {
    const T d = x[r * row + c] - T(centre[c]);
    a += d;
    b += d * d;
  });
}

template <class T>
void column_sums(const char* grad, const char* in, int64_t rows, int64_t columns, int64_t row, const double* centre,
                 double* grads, double* products) {
  const T *g = cast<T>(grad), *x = cast<T>(in);
  add_columns<T>(rows, columns, grads, products, [=](int64_t r, int64_t c, T& a, T& b) __attribute__((always_inline)) {
    a += g[r * row + c];
    b += g[r * row + c] * (x[r * row + c] - T(centre[c]));
  });
}

template <class T>
void column_affine(char* out_bytes, const char* in, int64_t rows, int64_t columns, const char* centre,
                   const char* scale, const char* shift) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T *x = cast<T>(in), *m = cast<T>(centre), *a = cast<T>(scale), *b = cast<T>(shift);
  for (int64_t r = 0; r < rows; ++r, out += columns, x += columns)
    for (int64_t c = 0; c < columns; ++c) out[c] = (x[c] - m[c]) * a[c] + b[c];
}

template <class T>
void column_gradient(char* out_bytes, const char* grad, const char* in, int64_t rows, int64_t columns,
                     const char* centre, const char* of_grad, const char* of_in, const char* constant) {
  T* __restrict out = reinterpret_cast<T*>(out_bytes);
  const T *g = cast<T>(grad), *x = cast<T>(in), *m = cast<T>(centre), *a = cast<T>(of_grad), *b = cast<T>(of_in),
          *k = cast<T>(constant);
  for (int64_t r = 0; r < rows; ++r, out += columns, x += columns, g += columns)
    for (int64_t c = 0; c < columns; ++c) out[c] = a[c] * g[c] + (b[c] * (x[c] - m[c]) + k[c]);
}

template <class T, int I>
void fill(NetworkTable& table) {
  table.column_moments[I] = column_moments<T>;
  table.column_affine[I] = column_affine<T>;
  table.column_sums[I] = column_sums<T>;
  table.column_gradient[I] = column_gradient<T>;
  table.moments[I] = moments<T>;
  table.affine[I] = affine<T>;
  table.normalize_row[I] = normalize_row<T>;
  table.norm_sums[I] = norm_sums<T>;
  table.norm_gradient[I] = norm_gradient<T>;
  table.norm_columns[I] = norm_columns<T>;
}

}  // namespace

void fill_normalize(NetworkTable& table) {
  fill<float, 0>(table);
  fill<double, 1>(table);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
