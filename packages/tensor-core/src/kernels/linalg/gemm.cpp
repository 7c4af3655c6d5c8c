// Matrix product in one thread: C = alpha * A * B + beta * C.
//
// Note [Gemm]
// The algorithm is that of Goto and van de Geijn (2008). The innermost kernel keeps a tile of C, R rows by two vectors,
// in registers, broadcasts elements of A and streams rows of B. B is packed into panels as wide as the tile, A into
// panels of kRows rows. A is not packed if its rows are contiguous and B has few columns. B is not packed if its rows
// are contiguous and A has few rows. B may also be a matrix that is not stored, whose panels are gathered: Note
// [Implicit unfolding] in operators/convolution/implicit_convolution.cpp.
//
// C is computed by blocks of columns, blocks of terms (several times what a tile sums in registers) and blocks of
// rows. The rows of A for a block are packed first and stay in the second-level cache. Each panel of B is packed just
// before its first use, and all of its terms are added while its columns of C are in that cache. Meanwhile the next
// data are prefetched: of B, of its panels or, in a batch, of the next product's operands. Panels are kept only if
// another block of rows needs them. Every element of C adds its products in the order of k, in passes whose length
// depends on k alone, so it does not matter how the caller divides rows and columns among threads.

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/linalg/finished_products.h"
#include "kernels/linalg/gemm_panels.h"
#include "kernels/linalg/gemm_tile.h"
#include "kernels/scratch.h"
#include "platform/processors.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// narrow() is for a B with at most kNarrowDepth rows and fewer columns than a vector has lanes. It copies B to a block
// with one vector per row.
constexpr int64_t kNarrowDepth = 32;
template <class T>
void narrow(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const T* b, const Matrix& bs,
            T beta, T* c, int64_t ldc) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes;
  alignas(64) T rows[kNarrowDepth][L];
  std::memset(rows, 0, size_t(k) * sizeof(rows[0]));
  for (int64_t p = 0; p < k; ++p)
    for (int64_t j = 0; j < n; ++j) rows[p][j] = b[p * bs.row + j * bs.column];
  constexpr int64_t kUnroll = 4;  // independent sums
  for (int64_t first = 0; first < m; first += kUnroll) {
    const T* of[kUnroll];
    for (int64_t i = 0; i < kUnroll; ++i) of[i] = a + (first + i < m ? first + i : m - 1) * as.row;
    Vector sums[kUnroll] = {};
    for (int64_t p = 0; p < k; ++p)
#pragma GCC unroll 4
      for (int64_t i = 0; i < kUnroll; ++i) sums[i] += of[i][p * as.column] * *reinterpret_cast<const Vector*>(rows[p]);
    for (int64_t i = 0; i < kUnroll && first + i < m; ++i) {
      alignas(64) T line[L];
      *reinterpret_cast<Vector*>(line) = sums[i] * alpha;
      T* to = c + (first + i) * ldc;
      for (int64_t j = 0; j < n; ++j) to[j] = beta == T(0) ? line[j] : line[j] + beta * to[j];
    }
  }
}

template <class T>
void small(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const T* b, const Matrix& bs, T beta,
           T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      T total = 0;
      for (int64_t p = 0; p < k; ++p) total += a[i * as.row + p * as.column] * b[p * bs.row + j * bs.column];
      c[i * ldc + j] = beta == T(0) ? alpha * total : alpha * total + beta * c[i * ldc + j];
    }
}

// Computes y[j * stride] = alpha * sum_p x[p] * rows[j][p] + beta * y[j * stride], where one operand of the product is
// a vector and the other has contiguous rows.
template <class T>
void row_dots(int64_t n, int64_t k, T alpha, const T* x, const T* rows, int64_t ld, T beta, T* y, int64_t stride) {
  using Vector = typename Simd<T>::Vector;
  constexpr int L = Simd<T>::kLanes;
  auto finish = [&](int64_t j, Vector sum, int64_t p) {
    T total = 0;
    for (int l = 0; l < L; ++l) total += sum[l];
    for (; p < k; ++p) total += x[p] * rows[j * ld + p];
    T& out = y[j * stride];
    out = beta == T(0) ? alpha * total : alpha * total + beta * out;
  };
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    Vector s0 = {}, s1 = {}, s2 = {}, s3 = {};
    const T* r = rows + j * ld;
    int64_t p = 0;
    for (; p + L <= k; p += L) {
      const Vector v = *reinterpret_cast<const Vector*>(x + p);
      s0 += v * *reinterpret_cast<const Vector*>(r + p);
      s1 += v * *reinterpret_cast<const Vector*>(r + ld + p);
      s2 += v * *reinterpret_cast<const Vector*>(r + 2 * ld + p);
      s3 += v * *reinterpret_cast<const Vector*>(r + 3 * ld + p);
    }
    finish(j, s0, p);
    finish(j + 1, s1, p);
    finish(j + 2, s2, p);
    finish(j + 3, s3, p);
  }
  for (; j < n; ++j) {
    Vector s = {};
    int64_t p = 0;
    for (; p + L <= k; p += L)
      s += *reinterpret_cast<const Vector*>(x + p) * *reinterpret_cast<const Vector*>(rows + j * ld + p);
    finish(j, s, p);
  }
}

// Computes y[j * stride] = alpha * sum_p x[p * step] * rows[p][j] + beta0 * y[j * stride]. Reads the rows once, in
// memory order, several at a time, and sums them in a block that stays in the first-level cache.
template <class T>
void weighted_rows(int64_t n, int64_t k, T alpha, const T* x, int64_t step, const T* rows, int64_t ld, T beta0, T* y,
                   int64_t stride) {
  constexpr int64_t kBlock = 1024;
  alignas(64) T sums[kBlock];
  for (int64_t first = 0; first < n; first += kBlock, rows += kBlock, y += kBlock * stride) {
    const int64_t count = n - first < kBlock ? n - first : kBlock;
    for (int64_t pc = 0; pc < k; pc += kDepth<T>) {
      const int64_t last = k - pc < kDepth<T> ? k : pc + kDepth<T>;
      std::fill(sums, sums + count, T(0));
      int64_t p = pc;
      for (; p + 8 <= last; p += 8) {
        const T *r = rows + p * ld, *v = x + p * step;
        const T v0 = v[0], v1 = v[step], v2 = v[2 * step], v3 = v[3 * step], v4 = v[4 * step], v5 = v[5 * step],
                v6 = v[6 * step], v7 = v[7 * step];
        const T *r1 = r + ld, *r2 = r1 + ld, *r3 = r2 + ld, *r4 = r3 + ld, *r5 = r4 + ld, *r6 = r5 + ld, *r7 = r6 + ld;
#pragma GCC ivdep
        for (int64_t j = 0; j < count; ++j) {
          T sum = sums[j] + v0 * r[j];
          sum += v1 * r1[j];
          sum += v2 * r2[j];
          sum += v3 * r3[j];
          sum += v4 * r4[j];
          sum += v5 * r5[j];
          sum += v6 * r6[j];
          sums[j] = sum + v7 * r7[j];
        }
      }
      for (; p < last; ++p) {
        const T *r = rows + p * ld, v = x[p * step];
#pragma GCC ivdep
        for (int64_t j = 0; j < count; ++j) sums[j] += v * r[j];
      }
      const T beta = pc == 0 ? beta0 : T(1);
      for (int64_t j = 0; j < count; ++j) {
        T& out = y[j * stride];
        out = beta == T(0) ? alpha * sums[j] : alpha * sums[j] + beta * out;
      }
    }
  }
}

int64_t second_cache() {
  static const int64_t bytes = std::clamp(platform::second_level_cache(), int64_t(256) << 10, int64_t(2) << 20);
  return bytes;
}

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// The operands of the next product of a batch, for prefetching. The size of an operand is 0 if it is not contiguous.
template <class T>
struct NextOperands {
  const T* at[2];
  int64_t size[2];
};

// Computes C = alpha * A * B + beta * C for matrices that fill tiles. See Note [Gemm].
template <class T, class B>
class BlockedProduct {
 public:
  BlockedProduct(int64_t m, int64_t n, int64_t k, T alpha, const T* a, const Matrix& as, const B& b, T beta, T* c,
                 int64_t ldc, const NextOperands<T>& following = {}, const ProductFinish& finish = {},
                 const T* panels_a = nullptr, int64_t panel_terms = 0)
      : m_(m),
        n_(n),
        k_(k),
        alpha_(alpha),
        beta_(beta),
        a_(a),
        as_(as),
        b_(b),
        c_(c),
        ldc_(ldc),
        following_(following),
        finish_(finish),
        panel_terms_(panel_terms) {
    const int64_t passes = std::max<int64_t>(1, (k + kDepth<T> - 1) / kDepth<T>);
    pass_ = (k + passes - 1) / passes;
    block_terms_ = passes <= 2 ? pass_ : std::min(k, 4 * pass_);  // fewer terms allow more rows
    block_rows_ = row_block();
    if (as.column == 1) panels_a_ = panels_a;
    packs_a_ = !panels_a_ && (as.column != 1 || n > 256);  // with fewer columns packing takes longer than it saves
  }

  void run() {
    if (packs_a_)
      packed_a_ = static_cast<T*>(scratch(Scratch::ProductA, size_t(block_rows_ * block_terms_ + W) * sizeof(T)));
    for (int64_t j = 0; j < n_; j += kBlockColumns) {
      columns_ = {j, std::min(n_, j + kBlockColumns)};
      first_packed_ =
          B::is_packed ? columns_.end : columns_.begin + (b_.is_read_in_place(m_) ? columns_.size() / L * L : 0);
      kept_ = block_rows_ < m_ ? (columns_.end - first_packed_ + W - 1) / W * W : 0;
      const int64_t elements = std::max(kept_ * block_terms_, W * pass_) + L;
      if (first_packed_ < columns_.end)
        packed_b_ = static_cast<T*>(scratch(Scratch::ProductB, size_t(elements) * sizeof(T)));
      for (int64_t p = 0; p < k_; p += block_terms_) {
        terms_ = {p, std::min(k_, p + block_terms_)};
        for (int64_t i = 0; i < m_; i += block_rows_) {
          rows_ = {i, std::min(m_, i + block_rows_)};
          checkpoint();
          if (packs_a_) pack_rows();
          add_block();
        }
      }
    }
  }

 private:
  static constexpr int64_t W = kColumns<T>, L = W / 2, kBlockColumns = 8192 / sizeof(T);
  static constexpr int64_t kFinish = 512 / sizeof(T);  // minimum number of columns per call of finish_.run

  // Returns the number of rows that fill a quarter of the second-level cache, or all rows if they fit in half of it.
  int64_t row_block() const {
    const int64_t most = second_cache() / 4 / (std::max(block_terms_, kDepth<T>) * int64_t(sizeof(T)));
    const int64_t blocks = m_ <= 2 * most ? 1 : (m_ + most / 2) / most;
    return (m_ + blocks * kRows - 1) / (blocks * kRows) * kRows;
  }

  Range pass_from(int64_t p) const { return {p, std::min(p + pass_, terms_.end)}; }
  const T* address_in_a(int64_t i, int64_t p) const { return a_ + i * as_.row + p * as_.column; }
  const T* panel_a(int64_t i, Range pass) const {
    if (panels_a_) return panels_a_ + i * panel_terms_ + pass.begin * kRows;
    return packed_row(i, pass);
  }
  T* packed_row(int64_t i, Range pass) const {
    return packed_a_ + (pass.begin - terms_.begin) * block_rows_ + (i - rows_.begin) * pass.size();
  }
  // Panels are stored in the order of packing, because packing may write a vector beyond the end of a panel.
  T* panel_b(int64_t j, Range pass) const {
    return kept_ ? packed_b_ + (j - first_packed_) * terms_.size() + (pass.begin - terms_.begin) * W : packed_b_;
  }

  // Returns the height of the tile from row i on. The last two tiles share their rows evenly if the last would have
  // few.
  int64_t height_from(int64_t i) const {
    const int64_t left = rows_.end - i;
    return left <= kRows ? left : 2 * left < 3 * kRows ? (left + 1) / 2 : kRows;
  }

  void pack_rows() {
    for (int64_t i = rows_.begin; i < rows_.end; i += height_from(i))
      for (int64_t p = terms_.begin; p < terms_.end; p += pass_) {
        const Range pass = pass_from(p);
        pack_a(packed_row(i, pass), address_in_a(i, p), as_.row, as_.column, height_from(i), pass.size());
      }
  }

  void add_block() {
    int64_t unfinished = columns_.begin;
    for (int64_t j = columns_.begin, width; j < columns_.end; j += width) {
      const bool in_place = j < first_packed_,
                 two = in_place && !B::is_packed ? j + W <= first_packed_ : columns_.end - j > L;
      width = two ? W : L;
      const Range columns{j, std::min(j + width, columns_.end)};
      for (int64_t p = terms_.begin; p < terms_.end; p += pass_) {
        const Range pass = pass_from(p);
        T* const panel = panel_b(j, pass);
        if (!in_place && rows_.begin == 0) b_.pack(panel, p, j, pass.size(), columns.size());
        if (in_place)
          add_pass(columns, two, pass, {b_.at(p, j), b_.row, B::is_packed ? behind(j, pass) : of_following(j, pass)});
        else
          add_pass(columns, two, pass, {panel, W, upcoming(j, pass)});
      }
      if (finish_.run && terms_.end == k_ && (columns.end - unfinished >= kFinish || columns.end == columns_.end)) {
        finish_.run(finish_.context, c_ + rows_.begin * ldc_ + unfinished, rows_.size(), columns.end - unfinished,
                    ldc_);
        unfinished = columns.end;
      }
    }
  }

  int64_t tiles() const { return (rows_.size() + kRows - 1) / kRows; }

  // Returns what to prefetch of B or of its panels: the following terms or, after the last term, the following columns.
  PrefetchBlock<T> upcoming(int64_t j, Range pass) const {
    const bool last = pass.end == terms_.end;
    const Range next = pass_from(last ? terms_.begin : pass.end);
    if (last) j += W;
    const int64_t lines = (pass.size() + tiles() - 1) / tiles();
    if (rows_.begin > 0) return {panel_b(j, next), W, lines * W};
    return b_.has_rows() ? PrefetchBlock<T>{b_.at(next.begin, j), b_.row, lines * b_.row} : of_following(j, next);
  }

  // Returns what to prefetch of a packed matrix: the terms after a pass or, at the end of a panel, the next panel.
  PrefetchBlock<T> behind(int64_t j, Range pass) const {
    const int64_t lines = (pass.size() + tiles() - 1) / tiles();
    return {b_.at(pass.end, j), W, lines * W};
  }

  // Returns what to prefetch of the next product: the part of its operands that corresponds to this pass.
  PrefetchBlock<T> of_following(int64_t j, Range pass) const {
    const auto& [at, size] = following_;
    if (size[0] + size[1] == 0 || rows_.begin > 0) return {a_, 0, 0};
    const double apiece = double(size[0] + size[1]) / (double(n_) * double(k_));
    const auto offset = int64_t(apiece * (double(j) * double(k_) + double(W * pass.begin)));
    const auto share = int64_t(apiece * double(W * pass.size()) / double(tiles()));
    return {offset < size[0] ? at[0] + offset : at[1] + offset - size[0], W, share};
  }

  // Adds some terms to all rows of the block.
  void add_pass(Range columns, bool two, Range pass, TileColumns<T> b) {
    TileOutput<T> out{nullptr, ldc_, columns.size(), alpha_, pass.begin == 0 ? beta_ : T(1)};
    if (pass.end == k_) out.limits = finish_.limits;
    const T* const row_bias = pass.begin == 0 ? static_cast<const T*>(finish_.row_bias) : nullptr;
    if (finish_.column_bias && pass.begin == 0)
      out.column_bias = static_cast<const T*>(finish_.column_bias) + columns.begin;
    int64_t first = rows_.begin;
    if (columns.size() <= kNarrowColumns && (packs_a_ || panels_a_)) {
      while (first < rows_.end && height_from(first) == kRows) first += kRows;
      out.c = c_ + rows_.begin * ldc_ + columns.begin;
      out.row_bias = row_bias ? row_bias + rows_.begin : nullptr;
      add_narrow(columns.size(), (first - rows_.begin) / kRows, pass, b, out);
    }
    for (int64_t i = first, height; i < rows_.end; i += height, b.next.at += b.next.share) {
      height = height_from(i);
      out.c = c_ + i * ldc_ + columns.begin;
      if (row_bias) out.row_bias = row_bias + i;
      if ((packs_a_ || panels_a_) && height == kRows)
        (two ? tile<T, kRows, true, TileOrder::Packed>
             : tile<T, kRows, false, TileOrder::Packed>)(pass.size(), {panel_a(i, pass), 1}, b, out);
      else if (as_.column == 1)
        tile_of<T, TileOrder::RowMajor>(height, two)(pass.size(), {address_in_a(i, pass.begin), as_.row}, b, out);
      else
        tile_of<T, TileOrder::RowMajor>(height, two)(pass.size(), {panel_a(i, pass), pass.size()}, b, out);
    }
  }

  void add_narrow(int64_t columns, int64_t panels, Range pass, const TileColumns<T>& b,
                  const TileOutput<T>& out) const {
    static_assert(kNarrowColumns == 3);
    const auto run = columns == 1 ? narrow_tiles<T, 1> : columns == 2 ? narrow_tiles<T, 2> : narrow_tiles<T, 3>;
    const int64_t panel_stride = kRows * (panels_a_ ? panel_terms_ : pass.size());
    run(panels, pass.size(), panel_a(rows_.begin, pass), panel_stride, b.b, b.row, out);
  }

  int64_t m_, n_, k_;
  T alpha_, beta_;
  const T* a_;
  Matrix as_;
  const B& b_;
  T* c_;
  int64_t ldc_;
  NextOperands<T> following_;
  const ProductFinish finish_;

  int64_t pass_, block_terms_, block_rows_;  // terms that are summed in registers; terms and rows of a block
  const int64_t panel_terms_;
  const T* panels_a_ = nullptr;  // panels of all of A, with panel_terms_ terms each
  bool packs_a_;
  T *packed_a_ = nullptr, *packed_b_ = nullptr;
  Range rows_, columns_, terms_;  // ranges of the block
  int64_t first_packed_, kept_;   // first column to pack; number of columns whose panels are kept for other rows
};

// The kinds of loops for a product. Matrices that do not fill tiles have special loops.
enum class ProductLoop { Small, Narrow, RowDots, ColumnDots, WeightedRows, WeightedColumns, Tiles };

template <class T>
ProductLoop product_loop(int64_t m, int64_t n, int64_t k, const Matrix& as, const Matrix& bs) {
  const int64_t work = m * n * k;
  // Results with one column, or with one row if B is stored by columns, do not fill vectors
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

// Writes the biases to C. Returns false if there are none.
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
