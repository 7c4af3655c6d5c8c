// Matrix product in one thread: C = alpha * A * B + beta * C. Selects the loops for the sizes and layouts of the
// operands.
#include <algorithm>

#include "kernels/linalg/blocked_product.h"
#include "kernels/linalg/untiled_products.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// The loops for a product. Matrices that do not fill tiles have special loops.
enum class ProductLoop { Small, Narrow, RowDots, ColumnDots, WeightedRows, WeightedColumns, Tiles };

template <class T>
ProductLoop product_loop(int64_t m, int64_t n, int64_t k, const Matrix& as, const Matrix& bs) {
  const int64_t work = m * n * k;
  // Results with one column, or with one row if B is stored by columns, do not fill vectors.
  const bool column = n == 1 || (m == 1 && bs.row == 1);
  if (k == 0 || work <= 48 || (column && work <= 512)) return ProductLoop::Small;
  if (n > 1 && n < Simd<T>::kLanes && k <= kNarrowDepth && work <= 4096) return ProductLoop::Narrow;
  if (m == 1 && as.column == 1 && bs.row == 1) return ProductLoop::RowDots;
  if (n == 1 && bs.row == 1 && as.column == 1) return ProductLoop::ColumnDots;
  if (m == 1 && bs.column == 1 && n >= Simd<T>::kLanes) return ProductLoop::WeightedRows;
  if (n == 1 && as.row == 1 && m >= Simd<T>::kLanes) return ProductLoop::WeightedColumns;
  return ProductLoop::Tiles;
}

template <class T>
void multiply(int64_t m, int64_t n, int64_t k, double alpha, const Matrix& as, const Matrix& bs, double beta, T* c,
              int64_t ldc, const NextOperands<T>& following) {
  const T *a = static_cast<const T*>(as.data), *b = static_cast<const T*>(bs.data);
  switch (product_loop<T>(m, n, k, as, bs)) {
    case ProductLoop::Small:
      return small<T>(m, n, k, T(alpha), a, as, b, bs, T(beta), c, ldc);
    case ProductLoop::Narrow:
      return narrow<T>(m, n, k, T(alpha), a, as, b, bs, T(beta), c, ldc);
    case ProductLoop::RowDots:
      return row_dots<T>(n, k, T(alpha), a, b, bs.column, T(beta), c, 1);
    case ProductLoop::ColumnDots:
      return row_dots<T>(m, k, T(alpha), b, a, as.row, T(beta), c, ldc);
    case ProductLoop::WeightedRows:
      return weighted_rows<T>(n, k, T(alpha), a, as.column, b, bs.row, T(beta), c, 1);
    case ProductLoop::WeightedColumns:
      return weighted_rows<T>(m, k, T(alpha), b, bs.row, a, as.column, T(beta), c, ldc);
    default:
      return BlockedProduct(m, n, k, T(alpha), a, as, Stored<T>{b, bs.row, bs.column}, T(beta), c, ldc, following)
          .run();
  }
}

// Writes the biases to C. Returns false if the finish has no biases.
template <class T>
bool fill_bias(int64_t m, int64_t n, T* c, int64_t ldc, const ProductFinish& finish) {
  const T *const rows = static_cast<const T*>(finish.row_bias), *const columns =
                                                                    static_cast<const T*>(finish.column_bias);
  if (!rows && !columns) return false;
  for (int64_t i = 0; i < m; ++i, c += ldc)
    if (rows)
      std::fill(c, c + n, rows[i]);
    else
      std::copy(columns, columns + n, c);
  return true;
}

template <class T>
void finished_gemm(int64_t m, int64_t n, int64_t k, const PackedMatrix& a, const PackedMatrix& b, void* c_data,
                   int64_t ldc, const ProductFinish& finish) {
  T* const c = static_cast<T*>(c_data);
  const auto run = [&](const auto& columns) {
    BlockedProduct(m, n, k, T(1), static_cast<const T*>(a.data), a, columns, T(0), c, ldc, {}, finish,
                   static_cast<const T*>(a.panels), a.terms)
        .run();
  };
  if (product_loop<T>(m, n, k, a, b) != ProductLoop::Tiles) {
    multiply<T>(m, n, k, 1, a, b, fill_bias(m, n, c, ldc, finish), c, ldc, {});
    for (int64_t i = 0; finish.limits && i < m; ++i)
      networks().limit[sizeof(T) == 8](reinterpret_cast<char*>(c + i * ldc), n, *finish.limits);
    if (finish.run) finish.run(finish.context, c, m, n, ldc);
  } else if (b.panels) {
    run(PackedColumns<T>{static_cast<const T*>(b.panels), b.terms});
  } else {
    run(Stored<T>{static_cast<const T*>(b.data), b.row, b.column});
  }
}

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, void* c, int64_t ldc) {
  multiply<T>(m, n, k, alpha, a, b, beta, static_cast<T*>(c), ldc, {});
}

template <class T>
void gemm_batch(const Batch& batch, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, void* c, int64_t ldc) {
  const auto item = [](const Matrix& x, int64_t batch_stride, int64_t i) {
    return static_cast<const T*>(x.data) + batch_stride * i;
  };
  // Returns the number of elements of an operand to prefetch: 0 if it is not contiguous or shared by the batch.
  const auto piece = [](const Matrix& x, int64_t batch_stride, int64_t rows, int64_t columns) {
    return batch_stride && ((x.column == 1 && x.row == columns) || (x.row == 1 && x.column == rows)) ? rows * columns
                                                                                                     : 0;
  };
  const bool cached = batch.count * (m * k + k * n + m * n) * int64_t(sizeof(T)) <= second_cache();
  NextOperands<T> following{{}, {cached ? 0 : piece(a, batch.a, m, k), cached ? 0 : piece(b, batch.b, k, n)}};
  for (int64_t i = 0; i < batch.count; ++i) {
    if (i + 1 < batch.count)
      following.at[0] = item(a, batch.a, i + 1), following.at[1] = item(b, batch.b, i + 1);
    else
      following = {};
    multiply<T>(m, n, k, 1, {item(a, batch.a, i), a.row, a.column}, {item(b, batch.b, i), b.row, b.column}, 0,
                static_cast<T*>(c) + i * batch.c, ldc, following);
  }
}

template <class T>
void finished_gemm_runs(int64_t m, int64_t n, int64_t k, const PackedMatrix& a, const RunsMatrix& b, void* c,
                        int64_t ldc, const ProductFinish& finish) {
  const Gathered<T> gathered{static_cast<const T*>(b.data), b};
  BlockedProduct(m, n, k, T(1), static_cast<const T*>(a.data), a, gathered, T(0), static_cast<T*>(c), ldc, {}, finish,
                 static_cast<const T*>(a.panels), a.terms)
      .run();
}

template <class T>
void pack_rows(void* panels, int64_t m, int64_t k, const Matrix& a) {
  T* to = static_cast<T*>(panels);
  for (int64_t i = 0; i + kRows <= m; i += kRows, to += kRows * k)
    pack_a(to, static_cast<const T*>(a.data) + i * a.row, a.row, a.column, kRows, k);
}

template <class T>
void pack_columns(void* panels, int64_t n, int64_t k, const Matrix& b) {
  pack_b(static_cast<T*>(panels), static_cast<const T*>(b.data), b.row, b.column, k, n);
}

template <class T>
void fill_products(ProductTable& table, int kind) {
  table.finished_gemm[kind] = finished_gemm<T>;
  table.finished_gemm_runs[kind] = finished_gemm_runs<T>;
  table.pack_rows[kind] = pack_rows<T>;
  table.pack_columns[kind] = pack_columns<T>;
  table.panel_columns[kind] = kColumns<T>;
}

}  // namespace

void fill_gemm(Table& table) {
  table.gemm_batch[0] = gemm_batch<float>;
  table.gemm_batch[1] = gemm_batch<double>;
  table.gemm[0] = gemm<float>;
  table.gemm[1] = gemm<double>;
}

void fill_finished_products(NetworkTable& networks) {
  static const ProductTable table = [] {
    ProductTable t{};
    fill_products<float>(t, 0);
    fill_products<double>(t, 1);
    t.panel_rows = kRows;
    return t;
  }();
  networks.products = &table;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA