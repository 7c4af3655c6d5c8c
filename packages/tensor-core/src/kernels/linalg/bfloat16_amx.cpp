// Matrix product of bfloat16 in one thread, for processors with Intel's Advanced Matrix Extensions (AMX).
//
// A tile register has 16 rows of 64 bytes. An instruction multiplies a tile of the left operand (16 lines, 32 terms) by
// a tile of the right operand (32 terms, 16 lines) and adds the products to a tile of float. The tiles of the left
// operand are read directly from the matrix if its terms are contiguous. The right operand is packed into panels of
// kBlock lines, which stay in the second-level cache. The left operand is A, or B if that avoids packing B; in the
// latter case the tiles are transposed when they are stored. Each element of C adds its products in the same order in
// both cases.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/linalg/bfloat16_gemm.h"
#include "kernels/linalg/bfloat16_panels.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 16;                               // lines of a tile of an operand
constexpr int64_t kStep = 32;                               // terms of a tile
constexpr int64_t kPairs = kStep / 2;                       // words in a line of a tile
constexpr int64_t kBlock = 2 * kTile;                       // lines that are multiplied at once
constexpr int64_t kMaxTerms = 1024, kMaxPackedTerms = 512;  // terms that are summed in registers
constexpr int64_t kRightBytes = 1 << 20;  // packed part of the right operand, half of the second-level cache
// For at most this number of rows of A, and at most half the number of terms, transposing C takes less time than
// packing B.
constexpr int64_t kMaxTransposed = 256;

static_assert(bfloat16_tile::kRows % kTile == 0 && bfloat16_tile::kColumns % kTile == 0);

int64_t rounded_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// The compiler does not know that the instructions for tiles read memory. It does not move accesses across a fence.
void fence() { asm volatile("" ::: "memory"); }

// Configures the eight tiles with 16 rows of 64 bytes. Signal handlers may also use tiles, so the lifetime of this
// object must not include a checkpoint.
class Tiles {
 public:
  Tiles() {
    struct alignas(64) Configuration {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static constexpr Configuration configuration;
    _tile_loadconfig(&configuration);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
};

// Elements of C: (i, j) is at c + i * row + j * column, where i is a line of the left operand and j is a line of the
// right one.
struct Output {
  float* c;
  int64_t row, column, lines, columns;
  bool adds;  // true: add to C; false: overwrite it

  Output from(int64_t i, int64_t j) const {
    return {c + i * row + j * column, row, column, lines - i, columns - j, adds};
  }
  bool has_tile() const { return column == 1 && lines >= kTile && columns >= kTile; }
  // Copies the elements of a tile, which may extend beyond C.
  void read(float* tile) const {
    const int64_t m = std::min(lines, kTile), n = std::min(columns, kTile);
    if (column != 1) return transpose(tile, kTile, c, column, n, m);
    for (int64_t i = 0; i < m; ++i) std::memcpy(tile + i * kTile, c + i * row, size_t(n) * sizeof(float));
  }
  void write(const float* tile) const {
    const int64_t m = std::min(lines, kTile), n = std::min(columns, kTile);
    if (column != 1) return transpose(c, column, tile, kTile, m, n);
    for (int64_t i = 0; i < m; ++i) std::memcpy(c + i * row, tile + i * kTile, size_t(n) * sizeof(float));
  }
};

// The number of a tile is a template argument, because instructions contain it as a constant.
template <int tile>
void clear() {
  if constexpr (tile == 0) _tile_zero(0);
  if constexpr (tile == 1) _tile_zero(1);
  if constexpr (tile == 2) _tile_zero(2);
  if constexpr (tile == 3) _tile_zero(3);
}
template <int tile>
void load(const void* from, int64_t row_bytes) {
  if constexpr (tile == 0) _tile_loadd(0, from, row_bytes);
  if constexpr (tile == 1) _tile_loadd(1, from, row_bytes);
  if constexpr (tile == 2) _tile_loadd(2, from, row_bytes);
  if constexpr (tile == 3) _tile_loadd(3, from, row_bytes);
}
template <int tile>
void store(void* to, int64_t row_bytes) {
  if constexpr (tile == 0) _tile_stored(0, to, row_bytes);
  if constexpr (tile == 1) _tile_stored(1, to, row_bytes);
  if constexpr (tile == 2) _tile_stored(2, to, row_bytes);
  if constexpr (tile == 3) _tile_stored(3, to, row_bytes);
}

template <int tile>
void begin(const Output& out) {
  if (!out.adds) return clear<tile>();
  if (out.has_tile()) return load<tile>(out.c, out.row * int64_t(sizeof(float)));
  alignas(64) float copy[kTile * kTile];
  out.read(copy);
  fence();
  load<tile>(copy, kTile * sizeof(float));
}
template <int tile>
void end(const Output& out) {
  alignas(64) float copy[kTile * kTile];
  if (out.has_tile()) return store<tile>(out.c, out.row * int64_t(sizeof(float)));
  store<tile>(copy, kTile * sizeof(float));
  out.write(copy);
}

// Lines of the left operand: `steps` times kStep terms at `at`, then the remaining terms, padded with zeros, in `last`.
struct Left {
  const void* at;
  int64_t row_bytes, steps;
  const Word* last;  // lines of kPairs words, or null
};

// Adds products to the tiles 0 to 3: one or two tiles of lines by one or two tiles of columns.
template <bool tall, bool wide>
void multiply(int64_t steps, const void* left, int64_t row_bytes, const Word* right) {
  const char* a = static_cast<const char*>(left);
  for (int64_t i = 0; i < steps; ++i, a += kStep * sizeof(uint16_t), right += kPairs * kBlock) {
    constexpr int64_t kRow = kBlock * sizeof(Word);
    _tile_loadd(4, a, row_bytes);
    _tile_loadd(6, right, kRow);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (wide) {
      _tile_loadd(7, right + kTile, kRow);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (tall) {
      _tile_loadd(5, a + kTile * row_bytes, row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (wide) _tile_dpbf16ps(3, 5, 7);
    }
  }
}
template <bool tall, bool wide>
void product(const Left& left, const Word* right, const Output& out) {
  fence();
  begin<0>(out);
  if constexpr (wide) begin<1>(out.from(0, kTile));
  if constexpr (tall) begin<2>(out.from(kTile, 0));
  if constexpr (tall && wide) begin<3>(out.from(kTile, kTile));
  multiply<tall, wide>(left.steps, left.at, left.row_bytes, right);
  if (left.last) multiply<tall, wide>(1, left.last, kPairs * sizeof(Word), right + left.steps * kPairs * kBlock);
  end<0>(out);
  if constexpr (wide) end<1>(out.from(0, kTile));
  if constexpr (tall) end<2>(out.from(kTile, 0));
  if constexpr (tall && wide) end<3>(out.from(kTile, kTile));
}

// Packs up to kBlock lines: words[pair * kBlock + i]. Pads the terms with zeros to a multiple of kStep.
void pack_words(Word* to, const Lines& x, int64_t count, int64_t terms) {
  pack(to, kBlock, x, count, terms);
  const int64_t used = (terms + 1) / 2 * kBlock, all = rounded_up(terms, kStep) / 2 * kBlock;
  std::memset(to + used, 0, size_t(all - used) * sizeof(Word));
}

// Packs adjacent lines, like pack_words, into panels that are `panel` words apart. Reads the memory in order.
void pack_adjacent(Word* to, int64_t panel, const Lines& x, int64_t count, int64_t terms) {
  static constexpr uint16_t zeros[kBlock] = {};
  for (int64_t p = 0; p < panel / kBlock; ++p)
    for (int64_t j = 0; j < count; j += kBlock) {
      const uint16_t* const first = 2 * p < terms ? x.at(j, 2 * p) : zeros;
      const uint16_t* const second = 2 * p + 1 < terms ? x.at(j, 2 * p + 1) : zeros;
      Word* const words = to + j * (panel / kBlock) + p * kBlock;
      const int64_t n = std::min(kBlock, count - j);
      if (n == kBlock)
        for (int64_t i = 0; i < kBlock; ++i) words[i] = word_of(first[i], second[i]);
      else
        for (int64_t i = 0; i < n; ++i) words[i] = word_of(first[i], second[i]);
    }
}

// Returns the operand at `x` for `count` lines, up to kBlock. Copies terms that cannot be read in place to `memory`.
Left left_of(const Lines& x, int64_t count, int64_t terms, Word* memory) {
  const int64_t whole = terms / kStep, pairs = rounded_up(terms, kStep) / 2;
  if (x.term != 1) {  // words are read, which are then transposed
    Word* const words = memory + kBlock * pairs;
    pack_words(words, x, count, terms);
    transpose(memory, pairs, words, kBlock, pairs, count);
    return {memory, pairs * int64_t(sizeof(Word)), pairs / kPairs, nullptr};
  }
  const bool in_place = count % kTile == 0;
  const int64_t first = in_place ? whole * kStep : 0, row = in_place ? kPairs : pairs;
  if (first < terms)
    for (int64_t i = 0; i < count; ++i) {
      const size_t bytes = size_t(terms - first) * sizeof(uint16_t);
      char* const to = reinterpret_cast<char*>(memory + i * row);
      std::memcpy(to, x.at(i, first), bytes);
      std::memset(to + bytes, 0, size_t(row) * sizeof(Word) - bytes);
    }
  if (!in_place) return {memory, row * int64_t(sizeof(Word)), row / kPairs, nullptr};
  return {x.data, x.line * int64_t(sizeof(uint16_t)), whole, first < terms ? memory : nullptr};
}

void multiply_lines(int64_t terms, const Lines& left, const Lines& right, const Output& out) {
  const int64_t pairs = rounded_up(terms, kStep) / 2;
  const int64_t most = std::max(kBlock, kRightBytes / (pairs * int64_t(sizeof(Word))) / kBlock * kBlock);
  auto* const memory = static_cast<Word*>(scratch(Scratch::ProductA, size_t(2 * kBlock * pairs) * sizeof(Word)));
  auto* const panels = static_cast<Word*>(
      scratch(Scratch::ProductB, size_t(std::min(most, rounded_up(out.columns, kBlock)) * pairs) * sizeof(Word)));
  for (int64_t begin = 0; begin < out.columns; begin += most) {
    checkpoint();
    const int64_t end = std::min(out.columns, begin + most);
    if (right.line == 1)
      pack_adjacent(panels, kBlock * pairs, {right.at(begin, 0), 1, right.term}, end - begin, terms);
    else
      for (int64_t j = begin; j < end; j += kBlock)
        pack_words(panels + (j - begin) * pairs, {right.at(j, 0), right.line, right.term}, std::min(kBlock, end - j),
                   terms);
    const Tiles tiles;
    for (int64_t i = 0; i < out.lines; i += kBlock) {
      const int64_t height = std::min(kBlock, out.lines - i);
      const Left rows = left_of({left.at(i, 0), left.line, left.term}, height, terms, memory);
      for (int64_t j = begin; j < end; j += kBlock) {
        const Word* const panel = panels + (j - begin) * pairs;
        const Output part = out.from(i, j);
        const bool wide = end - j > kTile;
        if (height > kTile)
          wide ? product<true, true>(rows, panel, part) : product<true, false>(rows, panel, part);
        else
          wide ? product<false, true>(rows, panel, part) : product<false, false>(rows, panel, part);
      }
    }
  }
}

}  // namespace

void multiply_bfloat16(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c, int64_t ldc,
                       bool adds) {
  const Lines rows{static_cast<const uint16_t*>(a.data), a.row, a.column},
      columns{static_cast<const uint16_t*>(b.data), b.column, b.row};
  const bool transposed = columns.term == 1 && (rows.term != 1 || (m < n && m <= std::min(kMaxTransposed, k / 2)));
  const Lines &left = transposed ? columns : rows, &right = transposed ? rows : columns;
  Output out = transposed ? Output{c, 1, ldc, n, m, adds} : Output{c, ldc, 1, m, n, adds};
  const int64_t most = left.term == 1 ? kMaxTerms : kMaxPackedTerms;
  for (int64_t p = 0; p < k; p += most) {
    multiply_lines(std::min(most, k - p), {left.at(0, p), left.line, left.term},
                   {right.at(0, p), right.line, right.term}, out);
    out.adds = true;
  }
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
