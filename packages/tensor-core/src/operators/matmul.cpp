// Matrix products and their derivatives.
#include "cuda/operators.h"
#include "flambeau/add_product.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "flambeau/products.h"
#include "kernels/table.h"
#include "operators/products.h"

namespace flambeau {

namespace {

using kernels::Matrix;

Matrix matrix_of(const Tensor& t) {  // the last two dimensions
  const int d = t.dim();
  return {t.bytes(), t.strides()[d - 2], t.strides()[d - 1]};
}

// Real and imaginary parts of a complex matrix, each a matrix whose rows, or columns, lie side by side.
struct Parts {
  Tensor memory;
  Matrix real, imaginary;
};

template <class T>
Parts parts_of(const Matrix& x, int64_t rows, int64_t columns) {
  const bool turned = x.row < x.column;
  const int64_t lines = turned ? columns : rows, length = turned ? rows : columns, apart = turned ? x.column : x.row,
                step = turned ? x.row : x.column;
  Parts out{empty({2, lines, length}, dtype_of<T>()), {}, {}};
  T *const re = out.memory.data<T>(), *const im = re + lines * length;
  for (int64_t i = 0; i < lines; ++i) {
    const T* const from = static_cast<const T*>(x.data) + 2 * i * apart;
    T *const r = re + i * length, *const m = im + i * length;
    if (step == 1)
      for (int64_t j = 0; j < length; ++j) r[j] = from[2 * j], m[j] = from[2 * j + 1];
    else
      for (int64_t j = 0; j < length; ++j) r[j] = from[2 * j * step], m[j] = from[2 * j * step + 1];
  }
  const int64_t row = turned ? 1 : length, column = turned ? length : 1;
  out.real = {re, row, column};
  out.imaginary = {im, row, column};
  return out;
}

// Four products of the parts, each at the speed of real ones.
template <class T>
void multiply_complex(int64_t m, int64_t n, int64_t k, double alpha, const Matrix& a, const Matrix& b, double beta,
                      Complex<T>* c, int64_t ldc) {
  const Parts x = parts_of<T>(a, m, k), y = parts_of<T>(b, k, n);
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

// The conjugate transpose of the last two dimensions; of real numbers a view.
Tensor adjoint(const Tensor& t) { return transpose(conj(t), -2, -1); }

struct Product {  // C (m x n, rows ldc apart) = alpha * A * B + beta * C, of float32, float64 or int64
  int64_t m, n, k;
  double alpha;
  Matrix a, b;
  double beta;
  char* c;
  int64_t ldc;
  Dtype dtype;

  int64_t size() const { return item_size(dtype); }
  const void* in_a(int64_t row, int64_t column) const { return at(a, row, column); }
  const void* in_b(int64_t row, int64_t column) const { return at(b, row, column); }
  int kind() const { return dtype == Dtype::float32 ? 0 : dtype == Dtype::float64 ? 1 : 2; }
  void run() const { kernels::table().gemm[kind()](m, n, k, alpha, a, b, beta, c, ldc); }

 private:
  const char* at(const Matrix& x, int64_t row, int64_t column) const {
    return static_cast<const char*>(x.data) + (row * x.row + column * x.column) * size();
  }
};

constexpr double kThreadWork = 5e5;  // multiply-adds below which a second thread costs more than it gives
// How many items of so much work are a thread's least share.
int64_t thread_share(double work) { return std::max<int64_t>(1, int64_t(kThreadWork / (2 * work + 1))); }

constexpr int64_t kRows = 12, kColumns = 64;  // cut at multiples of these: of a kernel's tiles

// Runs body(begin, end) over ranges of whole tiles. What is left over goes with the last one: by itself it might be so
// narrow that the kernel adds it up in another order.
template <class F>
void over_tiles(int64_t size, int64_t tile, double work, F&& body) {  // work: multiply-adds of a row or column
  const int64_t tiles = std::max<int64_t>(1, size / tile);
  parallel_items(tiles, thread_share(double(tile) * work),
                 [&](int64_t begin, int64_t end) { body(begin * tile, end == tiles ? size : end * tile); });
}

// By the largest share of a thread, and by what every thread has to read and pack all of.
bool columns_are_better(int64_t m, int64_t n, int64_t threads) {
  constexpr int64_t kPacking = 16;  // multiply-adds that take as long as packing an element
  const auto share = [threads](int64_t size, int64_t tile) {
    const int64_t tiles = std::max<int64_t>(1, size / tile), first = (tiles + threads - 1) / threads * tile;
    return std::max(std::min(size, first), size - tiles * tile + tiles / threads * tile);
  };
  return m * (share(n, kColumns) + kPacking) <= n * (share(m, kRows) + kPacking);
}

void run_over_columns(const Product& p) {
  over_tiles(p.n, kColumns, double(p.m) * double(p.k), [&](int64_t begin, int64_t end) {
    Product part = p;
    part.n = end - begin;
    part.b.data = p.in_b(0, begin);
    part.c = p.c + begin * p.size();
    part.run();
  });
}

void run_over_rows(const Product& p) {
  over_tiles(p.m, kRows, double(p.n) * double(p.k), [&](int64_t begin, int64_t end) {
    Product part = p;
    part.m = end - begin;
    part.a.data = p.in_a(begin, 0);
    part.c = p.c + begin * p.ldc * p.size();
    part.run();
  });
}

// Note [Long contractions]
// Where a product has few results and each is the sum of many terms, rows and columns give the threads little to share,
// so the terms are cut into blocks, whose sums are added up pair by pair. The blocks depend on the shape alone, and so
// the result does not depend on the number of threads. A single thread goes the same way.
int64_t contraction_block(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kFewResults = 65536, kLeastTerms = 2048, kLeastWork = 32768, kMostBlocks = 64, kMultiple = 256;
  const int64_t results = m * n;
  if (k < 2 * kLeastTerms || results == 0 || results > kFewResults || k / 4 < std::max(m, n)) return k;
  const int64_t blocks = std::min(kMostBlocks, k / std::max(kLeastTerms, kLeastWork / results));
  if (blocks < 2) return k;
  return (k + blocks * kMultiple - 1) / (blocks * kMultiple) * kMultiple;
}

// c = the sum of the blocks, of m * n results each, + beta * c
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
      for (int64_t j = 0; j < p.n; ++j) to[j] = p.beta == 0 ? sums[i * p.n + j] : sums[i * p.n + j] + T(p.beta) * to[j];
    }
  });
}

void run_over_terms(const Product& p, int64_t block) {
  const int64_t blocks = (p.k + block - 1) / block, bytes = p.m * p.n * p.size();
  const Tensor sums = empty({blocks, p.m, p.n}, p.dtype);
  parallel_items(blocks, thread_share(double(p.m) * double(p.n) * double(block)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Product part = p;
      part.k = std::min(block, p.k - i * block);
      part.a.data = p.in_a(0, i * block);
      part.b.data = p.in_b(i * block, 0);
      part.beta = 0;
      part.c = sums.bytes() + i * bytes;
      part.ldc = p.n;
      part.run();
    }
  });
  const auto add = [&](auto zero) { add_blocks(p, sums.data<decltype(zero)>(), blocks); };
  p.kind() == 0 ? add(0.0f) : p.kind() == 1 ? add(0.0) : add(int64_t(0));
}

}  // namespace

void gemm(int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, char* c, int64_t ldc,
          Dtype dtype) {
  if (dtype == Dtype::complex64)
    return multiply_complex(m, n, k, alpha, a, b, beta, reinterpret_cast<Complex<float>*>(c), ldc);
  if (dtype == Dtype::complex128)
    return multiply_complex(m, n, k, alpha, a, b, beta, reinterpret_cast<Complex<double>*>(c), ldc);
  if (n == 1 && m > 1 && ldc == 1 && a.row == 1)  // turned, it has rows of results to fill vectors with
    return gemm(1, m, k, alpha, {b.data, b.column, b.row}, {a.data, a.column, 1}, beta, c, m, dtype);
  const Product p{m, n, k, alpha, a, b, beta, c, ldc, dtype};
  if (const int64_t block = contraction_block(m, n, k); block < k) return run_over_terms(p, block);
  const int64_t threads = num_threads();
  const bool alone = threads == 1 || detail::in_parallel_region();
  if (alone || double(m) * double(n) * double(k) < kThreadWork) return p.run();
  if (columns_are_better(m, n, threads)) return run_over_columns(p);
  run_over_rows(p);
}

namespace {

Tensor product_there(const Shape& shape, const Tensor& a, const Tensor& b, const Tensor& bias) {
  Tensor out = empty(shape, a.dtype());
  cuda::multiply(out, a, b, bias);
  return out;
}

Tensor mm_values(const Tensor& a, const Tensor& b) {
  NoRecording off;
  if (cuda::takes(a)) return product_there({a.size(0), b.size(1)}, a, b, Tensor());
  const Dtype type = product_type(a.dtype());
  const Tensor x = to(a, type), y = to(b, type);
  Tensor out = empty({x.size(0), y.size(1)}, type);
  if (out.numel() > 0 && !out.is_meta()) {
    gemm(x.size(0), y.size(1), x.size(1), 1, matrix_of(x), matrix_of(y), 0, out.bytes(), out.size(1), type);
  }
  return to(out, a.dtype());
}

}  // namespace

namespace {

void check_matrices(const Tensor& a, const Tensor& b) {
  require(a.dim() == 2 && b.dim() == 2, "mm: expected two matrices, got shapes ", a.shape(), " and ", b.shape());
  require(a.size(1) == b.size(0), "mat1 and mat2 shapes cannot be multiplied (", a.size(0), "x", a.size(1), " and ",
          b.size(0), "x", b.size(1), ")");
  require_same_dtype(a, b, "mm");
}

void check_batches(const Tensor& a, const Tensor& b) {
  require(a.dim() == 3 && b.dim() == 3, "batch1 and batch2 must be 3D tensors, got shapes ", a.shape(), " and ",
          b.shape());
  require(a.size(0) == b.size(0) && a.size(2) == b.size(1), "bmm: expected size for batch2 to be [", a.size(0), ", ",
          a.size(2), ", *], got ", b.shape());
  require_same_dtype(a, b, "bmm");
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b) {
  check_matrices(a, b);
  Tensor out = mm_values(a, b);
  if (recording(a, b))
    record("Mm", out, {&a, &b}, {&a, &b}, [](const Context& c) {
      const Tensor& g = c.gradient();
      if (c.needs(0)) c.set(0, mm(g, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, mm(adjoint(c.saved(0)), g));
    });
  return out;
}

namespace {

int64_t grain_of(double work) { return std::max<int64_t>(1, int64_t(200000 / (work + 1))); }  // products a thread

// out[i] = x[i] @ y[i], all of one dtype; out is contiguous.
void multiply_batches(const Tensor& out, const Tensor& x, const Tensor& y) {
  const Dtype type = out.dtype();
  const int64_t batch = out.size(0), m = out.size(1), n = out.size(2), k = x.size(2), size = item_size(type);
  if (y.stride(0) == 0 && (m == 1 || x.stride(0) == m * x.stride(1))) {  // one second matrix: a single product
    const int64_t row = m == 1 ? x.stride(0) : x.stride(1);
    return gemm(batch * m, n, k, 1, {x.bytes(), row, x.stride(2)}, matrix_of(y), 0, out.bytes(), n, type);
  }
  const auto multiply = [&](int64_t begin, int64_t end) {
    Matrix p = matrix_of(x), q = matrix_of(y);
    for (int64_t i = begin; i < end; ++i) {
      p.data = x.bytes() + i * x.stride(0) * size;
      q.data = y.bytes() + i * y.stride(0) * size;
      gemm(m, n, k, 1, p, q, 0, out.bytes() + i * m * n * size, n, type);
    }
  };
  if (batch >= num_threads())
    parallel_items(batch, grain_of(double(m) * double(n) * double(k)), multiply);
  else
    multiply(0, batch);
}

}  // namespace

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_batches(a, b);
  const Shape shape{a.size(0), a.size(1), b.size(2)};
  Tensor out;
  if (cuda::takes(a)) {
    NoRecording off;
    out = product_there(shape, a, b, Tensor());
  } else {
    const Dtype type = product_type(a.dtype());
    out = empty(shape, type);
    NoRecording off;
    if (out.numel() > 0 && !out.is_meta()) multiply_batches(out, to(a, type), to(b, type));
    out = to(out, a.dtype());
  }
  if (recording(a, b))
    record("Bmm", out, {&a, &b}, {&a, &b}, [](const Context& c) {
      const Tensor& g = c.gradient();
      if (c.needs(0)) c.set(0, bmm(g, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, bmm(adjoint(c.saved(0)), g));
    });
  return out;
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (a.dim() == 2 && b.dim() == 2) return mm(a, b);
  require(a.dim() > 0 && b.dim() > 0, "both arguments to matmul need to be at least 1D, but they are ", a.dim(),
          "D and ", b.dim(), "D");
  if (a.dim() <= 2 && b.dim() == 1) return a.dim() == 1 ? dot(a, b) : mv(a, b);
  if (a.dim() == 1 && b.dim() == 2) return mv(transpose(b, 0, 1), a);
  const Tensor x = a.dim() == 1 ? unsqueeze(a, 0) : a, y = b.dim() == 1 ? unsqueeze(b, 1) : b;
  const int64_t m = x.size(-2), k = x.size(-1), n = y.size(-1);
  require(k == y.size(-2), "mat1 and mat2 shapes cannot be multiplied: the shapes ", a.shape(), " and ", b.shape(),
          " differ in the size they contract, ", k, " and ", y.size(-2));
  Shape batch;
  Tensor out;
  if (y.dim() == 2) {  // one matrix for the whole batch: a single product
    batch = Shape(x.shape().begin(), x.shape().end() - 2);
    out = mm(reshape(x, {product(batch) * m, k}), y);
  } else {
    const Shape xb(x.shape().begin(), x.shape().end() - 2), yb(y.shape().begin(), y.shape().end() - 2);
    batch = broadcast(xb, yb);
    auto flat = [&](const Tensor& t, int64_t rows, int64_t columns) {
      Shape shape = batch;
      shape.push_back(rows);
      shape.push_back(columns);
      return reshape(expand(t, shape), {product(batch), rows, columns});
    };
    out = bmm(flat(x, m, k), flat(y, k, n));
  }
  if (a.dim() > 1) batch.push_back(m);
  if (b.dim() > 1) batch.push_back(n);
  return reshape(out, batch);
}

namespace {

// Of halves on a GPU, with the sums as they are accumulated.
Tensor unrounded_product(const Tensor& a, const Tensor& b, Tensor (*product)(const Tensor&, const Tensor&)) {
  (product == mm ? check_matrices : check_batches)(a, b);
  Shape shape = a.shape();
  shape.back() = b.size(-1);
  const Tensor out = empty(shape, Dtype::float32);
  cuda::multiply(out, a, b);
  if (recording(a, b))
    record(product == mm ? "Mm" : "Bmm", out, {&a, &b}, {&a, &b}, [product](const Context& c) {
      const Tensor g = to(c.gradient(), c.saved(0).dtype());
      if (c.needs(0)) c.set(0, product(g, adjoint(c.saved(1))));
      if (c.needs(1)) c.set(1, product(adjoint(c.saved(0)), g));
    });
  return out;
}

}  // namespace

Tensor add_product(const char* name, const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha,
                   Tensor (*product)(const Tensor&, const Tensor&)) {
  const Dtype dtype = a.dtype();
  require_same_dtype(input, a, name);
  require_same_dtype(a, b, name);
  require<NotImplementedError>(dtype != Dtype::bool_, "\"", name, "\" not implemented for '", dtype, "'");
  require(fits(beta, dtype) && fits(alpha, dtype), name, ": beta and alpha must be numbers that '", dtype,
          "' can represent");
  if (!is_inexact(dtype)) {
    beta = beta.integer();
    alpha = alpha.integer();
  }
  const bool half = dtype == Dtype::float16 || dtype == Dtype::bfloat16;
  const auto wide = [&](const Tensor& t) { return half ? to(t, Dtype::float32) : t; };
  const bool as_they_are = half && cuda::takes(a) && (product == mm || product == bmm);
  Tensor out = as_they_are ? unrounded_product(a, b, product) : product(wide(a), wide(b));
  require(broadcast(input.shape(), out.shape()) == out.shape(), name, ": the input's shape ", input.shape(),
          " does not expand to ", out.shape());
  if (!alpha.equals(1)) out = mul(out, alpha);
  if (!beta.equals(0)) out = add(beta.equals(1) ? wide(input) : mul(wide(input), beta), out);
  return half ? to(out, dtype) : out;
}

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  return add_product("addmm", input, a, b, beta, alpha, mm);
}

namespace {

void check_linear(const Tensor& input, const Tensor& weight, const Tensor& bias, int64_t rows) {
  require(input.dim() > 0, "linear: the input needs at least one dimension");
  require(weight.dim() == 2, "linear: the weight needs two dimensions, got shape ", weight.shape());
  const int64_t in = weight.size(1), out_features = weight.size(0);
  require(input.size(-1) == in, "mat1 and mat2 shapes cannot be multiplied (", rows, "x", input.size(-1), " and ", in,
          "x", out_features, "): the input of shape ", input.shape(), " has ", input.size(-1),
          " features, the weight expects ", in);
  require_same_dtype(input, weight, "linear");
  if (bias.defined()) {
    require_same_dtype(input, bias, "linear (bias)");
    require(bias.dim() == 1 && bias.size(0) == out_features, "linear: the bias of shape ", bias.shape(),
            " does not match the weight's ", out_features, " outputs");
  }
  require<NotImplementedError>(input.dtype() != Dtype::bool_, "\"linear\" not implemented for '", input.dtype(), "'");
}

// The features of all places are rows of one matrix.
void linear_derivative(const Context& c) {
  const Tensor &g = c.gradient(), x = conj(c.saved(0)), w = conj(c.saved(1));
  const Tensor flat = g.dim() == 2 ? g : reshape(g, {w.size(0) ? g.numel() / w.size(0) : 0, w.size(0)});
  if (c.needs(0)) c.set(0, g.dim() == 2 ? mm(flat, w) : reshape(mm(flat, w), x.shape()));
  if (c.needs(1)) c.set(1, mm(transpose(flat, 0, 1), x.dim() == 2 ? x : reshape(x, {flat.size(0), w.size(1)})));
  if (c.needs(2)) c.set(2, sum(flat, Shape{0}, false, std::nullopt));
}

}  // namespace

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const int64_t rows = input.dim() > 0 ? product(Shape(input.shape().begin(), input.shape().end() - 1)) : 1;
  check_linear(input, weight, bias, rows);
  const int64_t in = weight.size(1), out_features = weight.size(0);
  const Dtype type = product_type(input.dtype());
  Shape shape = input.shape();
  shape.back() = out_features;
  Tensor out;
  if (cuda::takes(input)) {
    NoRecording off;
    out =
        reshape(product_there({rows, out_features}, reshape(input, {rows, in}), transpose(weight, 0, 1), bias), shape);
  } else {
    out = empty(shape, type);
    NoRecording off;
    const Tensor x = contiguous(to(input, type)), w = to(weight, type);
    if (bias.defined()) copy_values(out, to(bias, type));
    if (out.numel() > 0 && !out.is_meta())
      gemm(rows, out_features, in, 1, {x.bytes(), in, 1}, {w.bytes(), w.stride(1), w.stride(0)}, bias.defined() ? 1 : 0,
           out.bytes(), out_features, type);
    out = to(out, input.dtype());
  }
  if (recording(input, weight, bias))
    record("Linear", out, {&input, &weight, &bias}, {&input, &weight}, linear_derivative);
  return out;
}

}  // namespace flambeau
