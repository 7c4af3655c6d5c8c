// Matrix products on raw memory, computed by several threads.
#include "core/working_memory.h"
#include "flambeau/interpreter.h"
#include "flambeau/parallel.h"
#include "flambeau/tensor.h"
#include "kernels/linalg/bfloat16_gemm.h"
#include "kernels/table.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

using kernels::Matrix;
using kernels::PackedMatrix;
using kernels::ProductFinish;

// The real and the imaginary part of a complex matrix, as two matrices whose rows or columns are contiguous.
struct ComplexPlanes {
  Tensor memory;
  Matrix real, imaginary;
};

template <class T>
ComplexPlanes planes_of(const Matrix& x, int64_t rows, int64_t columns) {
  const bool transposed = x.row < x.column;
  const int64_t lines = transposed ? columns : rows, length = transposed ? rows : columns,
                line_stride = transposed ? x.column : x.row, step = transposed ? x.row : x.column;
  ComplexPlanes out{empty({2, lines, length}, dtype_of<T>()), {}, {}};
  T *const re = out.memory.data<T>(), *const im = re + lines * length;
  for (int64_t i = 0; i < lines; ++i) {
    const T* const from = static_cast<const T*>(x.data) + 2 * i * line_stride;
    T *const r = re + i * length, *const m = im + i * length;
    if (step == 1)
      for (int64_t j = 0; j < length; ++j) r[j] = from[2 * j], m[j] = from[2 * j + 1];
    else
      for (int64_t j = 0; j < length; ++j) r[j] = from[2 * j * step], m[j] = from[2 * j * step + 1];
  }
  const int64_t row = transposed ? 1 : length, column = transposed ? length : 1;
  out.real = {re, row, column};
  out.imaginary = {im, row, column};
  return out;
}

// Returns the sum of the products x[i] * y[i] of k complex numbers. The sums of blocks are added in order, so that the
// result does not depend on the number of threads.
template <class T>
Complex<T> complex_dot(const Complex<T>* x, const Complex<T>* y, int64_t k) {
  constexpr int64_t kBlock = 16384;
  const auto dot = kernels::table().complex_dot[sizeof(T) == 8];
  Complex<T> total(0, 0);
  if (k <= kBlock) {
    dot(x, y, k, &total);
    return total;
  }
  const int64_t blocks = (k + kBlock - 1) / kBlock;
  const Tensor sums = empty({blocks}, dtype_of<Complex<T>>());
  Complex<T>* const sum = sums.data<Complex<T>>();
  parallel_items(blocks, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      dot(x + i * kBlock, y + i * kBlock, std::min(kBlock, k - i * kBlock), sum + i);
  });
  for (int64_t i = 0; i < blocks; ++i) total = total + sum[i];
  return total;
}

// Multiplies complex matrices by four real products of their parts.
template <class T>
void multiply_complex(int64_t m, int64_t n, int64_t k, double alpha, const Matrix& a, const Matrix& b, double beta,
                      Complex<T>* c, int64_t ldc) {
  if (m == 1 && n == 1 && a.column == 1 && b.row == 1) {
    const Complex<T> value =
        T(alpha) * complex_dot(static_cast<const Complex<T>*>(a.data), static_cast<const Complex<T>*>(b.data), k);
    *c = beta == 0 ? value : value + T(beta) * *c;
    return;
  }
  const ComplexPlanes x = planes_of<T>(a, m, k), y = planes_of<T>(b, k, n);
  const Dtype dtype = dtype_of<T>();
  const Tensor planes = empty({2, m, n}, dtype);
  T *const re = planes.data<T>(), *const im = re + m * n;
  const auto add = [&](T* to, double factor, const Matrix& p, const Matrix& q, double old) {
    gemm(m, n, k, factor, p, q, old, reinterpret_cast<char*>(to), n, dtype);
  };
  add(re, alpha, x.real, y.real, 0);
  add(re, -alpha, x.imaginary, y.imaginary, 1);
  add(im, alpha, x.real, y.imaginary, 0);
  add(im, alpha, x.imaginary, y.real, 1);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const Complex<T> value(re[i * n + j], im[i * n + j]);
      Complex<T>& to = c[i * ldc + j];
      to = beta == 0 ? value : value + T(beta) * to;
    }
}

struct Product {  // C = alpha * A * B + beta * C for float32, float64 or int64; C is m x n, its rows ldc elements apart
  int64_t m, n, k;
  double alpha;
  PackedMatrix a, b;
  double beta;
  char* c;
  int64_t ldc;
  Dtype dtype;
  ProductFinish finish = {};  // only for float32 and float64 with alpha = 1 and beta = 0

  int64_t size() const { return item_size(dtype); }
  bool has_finish() const {
    return finish.row_bias || finish.column_bias || finish.limits || finish.run || a.panels || b.panels;
  }
  int kind() const { return dtype == Dtype::float32 ? 0 : dtype == Dtype::float64 ? 1 : 2; }
  void run() const {
    if (has_finish()) return kernels::products().finished_gemm[kind()](m, n, k, a, b, c, ldc, finish);
    kernels::table().gemm[kind()](m, n, k, alpha, a, b, beta, c, ldc);
  }
  // Returns the part of the product for the rows [begin, end). If A is packed, `begin` must be a multiple of the height
  // of a panel.
  Product rows(int64_t begin, int64_t end) const {
    Product part = *this;
    part.m = end - begin;
    part.a = from(a, begin * a.row, begin * a.terms);
    part.c += begin * ldc * size();
    if (finish.row_bias) part.finish.row_bias = moved(finish.row_bias, begin);
    return part;
  }
  Product columns(int64_t begin, int64_t end) const {
    Product part = *this;
    part.n = end - begin;
    part.b = from(b, begin * b.column, begin * b.terms);
    part.c += begin * size();
    if (finish.column_bias) part.finish.column_bias = moved(finish.column_bias, begin);
    return part;
  }
  // Returns the product for the terms [begin, end) of each sum, without beta * C and without the finish. The returned
  // product writes its result to `to`.
  Product terms(int64_t begin, int64_t end, char* to) const {
    const kernels::ProductTable& table = kernels::products();
    Product part{m, n, end - begin, alpha, {}, {}, 0, to, n, dtype};
    part.a = from(a, begin * a.column, begin * table.panel_rows);
    part.b = from(b, begin * b.row, begin * table.panel_columns[kind() == 1]);
    return part;
  }
  void finish_rows(int64_t begin, int64_t end) const {
    for (int64_t i = begin; finish.limits && i < end; ++i)
      kernels::networks().limit[kind()](c + i * ldc * size(), n, *finish.limits);
    if (finish.run) finish.run(finish.context, c + begin * ldc * size(), end - begin, n, ldc);
  }

 private:
  const void* moved(const void* data, int64_t elements) const {
    return static_cast<const char*>(data) + elements * size();
  }
  PackedMatrix from(const PackedMatrix& x, int64_t elements, int64_t in_panels) const {
    return {{moved(x.data, elements), x.row, x.column}, x.panels ? moved(x.panels, in_panels) : nullptr, x.terms};
  }
};

constexpr double kThreadWork = 5e5;  // number of multiply-adds below which a second thread costs more than it gains
// Returns the minimum number of items for a thread, if an item takes `work` multiply-adds.
int64_t thread_share(double work) { return std::max<int64_t>(1, int64_t(kThreadWork / (2 * work + 1))); }

// Threads get ranges whose sizes are multiples of these, so that registers and vectors are full.
constexpr int64_t kRows = 4, kColumns = 64;

// Divides `size` rows or columns into ranges of complete tiles and calls body(begin, end) for each. The last range
// includes the remainder, because for a narrow range the kernel could use another order of additions.
template <class F>
void over_tiles(int64_t size, int64_t tile, double work, F&& body) {  // work: multiply-adds for a row or column
  const int64_t tiles = std::max<int64_t>(1, size / tile);
  parallel_items(tiles, thread_share(double(tile) * work),
                 [&](int64_t begin, int64_t end) { body(begin * tile, end == tiles ? size : end * tile); });
}

// Returns true if the threads should share the columns of the result instead of its rows, because then the largest
// amount of work of a thread is smaller. Each thread packs all of one operand and its part of the other.
bool columns_are_better(const Product& p, int64_t threads) {
  // Costs, in multiply-adds, of packing an element, of packing a transposed element, and of reading an element of a
  // packed matrix.
  constexpr int64_t kCopying = 4, kTurning = 16, kReading = 2;
  const auto share = [threads](int64_t size, int64_t tile) {
    const int64_t tiles = std::max<int64_t>(1, size / tile), first = (tiles + threads - 1) / threads * tile;
    return std::max(std::min(size, first), size - tiles * tile + tiles / threads * tile);
  };
  const auto packing = [](const PackedMatrix& x, int64_t step) {
    return x.panels ? kReading : step == 1 ? kCopying : kTurning;
  };
  const int64_t a = packing(p.a, p.a.row), b = packing(p.b, p.b.column);
  const int64_t columns = share(p.n, kColumns), rows = share(p.m, kRows);
  return p.m * (columns + a) + columns * b <= p.n * (rows + b) + rows * a;
}

void run_over_columns(const Product& p) {
  over_tiles(p.n, kColumns, double(p.m) * double(p.k),
             [&](int64_t begin, int64_t end) { p.columns(begin, end).run(); });
}

void run_over_rows(const Product& p) {
  const int64_t tile = p.a.panels ? kernels::products().panel_rows : kRows;
  over_tiles(p.m, tile, double(p.n) * double(p.k), [&](int64_t begin, int64_t end) { p.rows(begin, end).run(); });
}

// Note [Long contractions]
// If a product has few results, and each result is the sum of many terms, dividing rows or columns leaves threads
// without work. Therefore the terms are divided into blocks, and the sums of the blocks are added in pairs. The blocks
// depend only on the shape, so the result does not depend on the number of threads. A single thread uses the same
// blocks.
int64_t contraction_block(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kFewResults = 65536, kMinTerms = 2048, kMinWork = 32768, kMaxBlocks = 64, kMultiple = 256;
  const int64_t results = m * n;
  if (k < 2 * kMinTerms || results == 0 || results > kFewResults || k / 4 < std::max(m, n)) return k;
  const int64_t blocks = std::min(kMaxBlocks, k / std::max(kMinTerms, kMinWork / results));
  if (blocks < 2) return k;
  return (k + blocks * kMultiple - 1) / (blocks * kMultiple) * kMultiple;
}

// Computes c = beta * c + the sum of the blocks in `sums`, each of which has m * n elements, and applies the finish.
template <class T>
void add_blocks(const Product& p, T* sums, int64_t blocks) {
  parallel_items(p.m, std::max<int64_t>(1, 65536 / (blocks * p.n)), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * p.n, last = end * p.n;
    for (int64_t step = 1; step < blocks; step *= 2)
      for (int64_t i = 0; i + step < blocks; i += 2 * step) {
        T* const to = sums + i * p.m * p.n;
        const T* const from = to + step * p.m * p.n;
        for (int64_t j = first; j < last; ++j) to[j] += from[j];
      }
    for (int64_t i = begin; i < end; ++i) {
      T* const to = reinterpret_cast<T*>(p.c) + i * p.ldc;
      const T* const sum = sums + i * p.n;
      if (p.finish.row_bias)
        for (int64_t j = 0; j < p.n; ++j) to[j] = sum[j] + static_cast<const T*>(p.finish.row_bias)[i];
      else if (p.finish.column_bias)
        for (int64_t j = 0; j < p.n; ++j) to[j] = sum[j] + static_cast<const T*>(p.finish.column_bias)[j];
      else
        for (int64_t j = 0; j < p.n; ++j) to[j] = p.beta == 0 ? sum[j] : sum[j] + T(p.beta) * to[j];
    }
    p.finish_rows(begin, end);
  });
}

void run_over_terms(const Product& p, int64_t block) {
  const int64_t blocks = (p.k + block - 1) / block, bytes = p.m * p.n * p.size();
  const Tensor sums = empty({blocks, p.m, p.n}, p.dtype);
  parallel_items(blocks, thread_share(double(p.m) * double(p.n) * double(block)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      p.terms(i * block, std::min((i + 1) * block, p.k), sums.bytes() + i * bytes).run();
  });
  const auto add = [&](auto zero) { add_blocks(p, sums.data<decltype(zero)>(), blocks); };
  p.kind() == 0 ? add(0.0f) : p.kind() == 1 ? add(0.0) : add(int64_t(0));
}

void run_product(const Product& p) {
  if (const int64_t block = contraction_block(p.m, p.n, p.k); block < p.k) return run_over_terms(p, block);
  if (double(p.m) * double(p.n) * double(p.k) < kThreadWork) return p.run();
  const GilRelease release;
  const int64_t threads = num_threads();
  if (threads == 1 || detail::in_parallel_region()) return p.run();
  if (columns_are_better(p, threads)) return run_over_columns(p);
  run_over_rows(p);
}

}  // namespace

void gemm(int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, char* c, int64_t ldc,
          Dtype dtype) {
  if (dtype == Dtype::complex64)
    return multiply_complex(m, n, k, alpha, a, b, beta, reinterpret_cast<Complex<float>*>(c), ldc);
  if (dtype == Dtype::complex128)
    return multiply_complex(m, n, k, alpha, a, b, beta, reinterpret_cast<Complex<double>*>(c), ldc);
  if (n == 1 && m > 1 && ldc == 1 && a.row == 1)  // the rows of the transposed product fill vectors
    return gemm(1, m, k, alpha, {b.data, b.column, b.row}, {a.data, a.column, 1}, beta, c, m, dtype);
  run_product({m, n, k, alpha, {a}, {b}, beta, c, ldc, dtype});
}

void gemm(int64_t m, int64_t n, int64_t k, const PackedMatrix& a, const PackedMatrix& b, char* c, int64_t ldc,
          Dtype dtype, const ProductFinish& finish) {
  if (n == 1 && m > 1 && ldc == 1 && a.row == 1) {  // the rows of the transposed product fill vectors, as above
    ProductFinish transposed = finish;
    std::swap(transposed.row_bias, transposed.column_bias);
    return gemm(1, m, k, {{b.data, b.column, b.row}}, {{a.data, a.column, 1}}, c, m, dtype, transposed);
  }
  run_product({m, n, k, 1, a, b, 0, c, ldc, dtype, finish});
}

bool multiplies_bfloat16(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kMinTerms = 16, kMinWork = 4096;
  return dtype == Dtype::bfloat16 && kernels::table().bfloat16_gemm && k >= kMinTerms && m * n * k >= kMinWork;
}

namespace {

Matrix bfloat16_from(const Matrix& x, int64_t elements) {
  return {static_cast<const bfloat16*>(x.data) + elements, x.row, x.column};
}

// Returns the number of float32 multiply-adds that take as long as a bfloat16 product of this size.
double bfloat16_work(int64_t m, int64_t n, int64_t k) {
  return double(m) * double(n) * double(k) / (kernels::uses_amx() ? 16 : 2);
}

}  // namespace

void gemm_bfloat16(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, int64_t ldc,
                   bool adds) {
  namespace tile = kernels::bfloat16_tile;
  const auto run = kernels::table().bfloat16_gemm;
  const double work = bfloat16_work(m, n, k);
  if (work < kThreadWork) return run(m, n, k, a, b, c, ldc, adds);
  const GilRelease release;
  if (n / tile::kColumns >= m / tile::kRows)
    over_tiles(n, tile::kColumns, work / double(n), [&](int64_t begin, int64_t end) {
      run(m, end - begin, k, a, bfloat16_from(b, begin * b.column), c + begin, ldc, adds);
    });
  else
    over_tiles(m, tile::kRows, work / double(m), [&](int64_t begin, int64_t end) {
      run(end - begin, n, k, bfloat16_from(a, begin * a.row), b, c + begin * ldc, ldc, adds);
    });
}

void round_sums(char* to, Dtype dtype, const float* sums, int64_t n) {
  kernels::table().cast[int(dtype)][int(Dtype::float32)](to, item_size(dtype), reinterpret_cast<const char*>(sums),
                                                         sizeof(float), n);
}

void gemm_bfloat16_batch(const kernels::Batch& batch, int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b,
                         char* c, Dtype dtype) {
  const bool rounds = dtype != Dtype::float32;
  const auto run = [&](int64_t begin, int64_t end) {
    const Block sums(rounds ? m * n * int64_t(sizeof(float)) : 0);  // not a tensor, because threads run without the GIL
    for (int64_t i = begin; i < end; ++i) {
      char* const to = c + i * batch.c * item_size(dtype);
      float* const product = reinterpret_cast<float*>(rounds ? sums.get() : to);
      gemm_bfloat16(m, n, k, bfloat16_from(a, i * batch.a), bfloat16_from(b, i * batch.b), product, n, false);
      if (rounds) round_sums(to, dtype, product, m * n);
    }
  };
  if (batch.count < num_threads()) return run(0, batch.count);  // all threads work on the same product
  parallel_items(batch.count, thread_share(bfloat16_work(m, n, k)), run);
}

void gemm_batch(const kernels::Batch& batch, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, char* c,
                Dtype dtype) {
  const int64_t size = item_size(dtype);
  const auto item = [size](const Matrix& x, int64_t batch_stride, int64_t i) {
    return Matrix{static_cast<const char*>(x.data) + i * batch_stride * size, x.row, x.column};
  };
  const auto one_by_one = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      gemm(m, n, k, 1, item(a, batch.a, i), item(b, batch.b, i), 0, c + i * batch.c * size, n, dtype);
  };
  const auto at_once = [&](int64_t begin, int64_t end) {
    const kernels::Batch part{end - begin, batch.a, batch.b, batch.c};
    kernels::table().gemm_batch[dtype == Dtype::float64](part, m, n, k, item(a, batch.a, begin),
                                                         item(b, batch.b, begin), c + begin * batch.c * size, n);
  };
  if (batch.count < num_threads()) return one_by_one(0, batch.count);  // all threads work on the same product
  const int64_t share = thread_share(double(m) * double(n) * double(k));
  if (is_floating(dtype) && n > 1 && contraction_block(m, n, k) == k)
    parallel_items(batch.count, share, at_once);
  else
    parallel_items(batch.count, share, one_by_one);
}

}  // namespace flambeau
