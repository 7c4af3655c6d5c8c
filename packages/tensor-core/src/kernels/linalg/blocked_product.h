// Products of matrices that fill tiles.
//
// Note [Gemm]
// The algorithm is from Goto and van de Geijn (2008). The innermost kernel keeps a tile of C, R rows by two vectors,
// in registers, broadcasts elements of A and streams rows of B. B is packed into panels as wide as the tile, A into
// panels of kRows rows. A is not packed if its rows are contiguous and B has few columns. B is not packed if its rows
// are contiguous and A has few rows. B may also be a matrix that is not stored, whose panels are gathered: Note
// [Implicit unfolding] in operators/convolution/implicit_convolution.cpp.
//
// C is computed by blocks of columns, blocks of terms (several times the number that a tile sums in registers) and
// blocks of rows. The rows of A for a block are packed first and stay in the second-level cache. Each panel of B is
// packed just before its first use, and all of its terms are added while the columns of C that it contributes to are in
// that cache. Meanwhile the next data are prefetched: rows of B, its panels or, in a batch, the operands of the next
// product. Panels are kept only if another block of rows needs them. Every element of C adds its products in the order
// of k, in passes whose length depends only on k, so the result does not depend on how the caller divides rows and
// columns among threads.
#pragma once

#include <algorithm>

#include "kernels/linalg/finished_products.h"
#include "kernels/linalg/gemm_panels.h"
#include "kernels/linalg/gemm_tile.h"
#include "kernels/scratch.h"
#include "platform/processors.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline int64_t second_cache() {
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
    block_terms_ = passes <= 2 ? pass_ : std::min(k, 4 * pass_);  // with fewer terms, a block can have more rows
    block_rows_ = row_block();
    if (as.column == 1) panels_a_ = panels_a;
    packs_a_ = !panels_a_ && (as.column != 1 || n > 256);  // with fewer columns, packing takes longer than it saves
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

  // Returns the height of the tile from row i on. If the last tile would have few rows, the last two tiles share their
  // rows evenly.
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

  // Returns the part of B or of its panels to prefetch: the following terms or, after the last term, the following
  // columns.
  PrefetchBlock<T> upcoming(int64_t j, Range pass) const {
    const bool last = pass.end == terms_.end;
    const Range next = pass_from(last ? terms_.begin : pass.end);
    if (last) j += W;
    const int64_t lines = (pass.size() + tiles() - 1) / tiles();
    if (rows_.begin > 0) return {panel_b(j, next), W, lines * W};
    return b_.has_rows() ? PrefetchBlock<T>{b_.at(next.begin, j), b_.row, lines * b_.row} : of_following(j, next);
  }

  // Returns the part of a packed matrix to prefetch: the terms after a pass or, at the end of a panel, the next panel.
  PrefetchBlock<T> behind(int64_t j, Range pass) const {
    const int64_t lines = (pass.size() + tiles() - 1) / tiles();
    return {b_.at(pass.end, j), W, lines * W};
  }

  // Returns the part of the next product's operands to prefetch: the part that corresponds to this pass.
  PrefetchBlock<T> of_following(int64_t j, Range pass) const {
    const auto& [at, size] = following_;
    if (size[0] + size[1] == 0 || rows_.begin > 0) return {a_, 0, 0};
    const double apiece = double(size[0] + size[1]) / (double(n_) * double(k_));
    const auto offset = int64_t(apiece * (double(j) * double(k_) + double(W * pass.begin)));
    const auto share = int64_t(apiece * double(W * pass.size()) / double(tiles()));
    return {offset < size[0] ? at[0] + offset : at[1] + offset - size[0], W, share};
  }

  // Adds the terms of a pass to all rows of the block.
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
  const T* panels_a_ = nullptr;  // panels of all rows of A; each panel has panel_terms_ terms
  bool packs_a_;
  T *packed_a_ = nullptr, *packed_b_ = nullptr;
  Range rows_, columns_, terms_;  // ranges of the block
  int64_t first_packed_, kept_;   // first column to pack; number of columns whose panels are kept for other rows
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
