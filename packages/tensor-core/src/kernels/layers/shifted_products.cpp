// The weight gradient of a convolution as products of matrices that share their operands.
//
// Note [Shifted products]
// The gradient of one tap of the window, for all channels and filters, is the product of the padded image (channels,
// positions), shifted by the tap, and the output's gradient (positions, filters). The image is not packed: the tile of
// Note [Gemm] in kernels/linalg/blocked_product.h broadcasts its elements. Only the gradient is packed, once for all
// taps. A block of positions is read for every tap while it is in the cache. The tiles of all taps stay in the cache
// until all of their positions are added. Then they are written in the order of the weights.
#include <algorithm>

#include "kernels/linalg/gemm_tile.h"
#include "kernels/scratch.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kPositions = 2048;  // positions whose gradients are packed at a time

// Consecutive runs that are summed in registers, or packed, together. Their number is the largest for which they have
// at most `most` positions in total, but at least one.
struct RunGroup {
  const Run* first;
  int64_t count = 0, positions = 0;

  RunGroup(const Run* first, const Run* end, int64_t most) : first(first) {
    while (first + count < end && (count == 0 || positions + first[count].length <= most))
      positions += first[count++].length;
  }
};

// Writes tiles (taps, kRows, kColumns) to weights (filters, channels, taps).
template <class T>
void store_tiles(const ShiftedProducts& s, const T* tiles, int64_t height, int64_t width, bool add, T* to) {
  constexpr int64_t W = kColumns<T>;
  for (int64_t j = 0; j < width; ++j, to += s.channels * s.taps)
    for (int64_t i = 0; i < height; ++i)
      for (int64_t t = 0; t < s.taps; ++t) {
        T& at = to[i * s.taps + t];
        const T value = tiles[(t * kRows + i) * W + j];
        at = add ? at + value : value;
      }
}

template <class T>
void shifted_products(const ShiftedProducts& s, void* weights) {
  constexpr int64_t W = kColumns<T>, L = W / 2;
  const T *image = static_cast<const T*>(s.image), *grad = static_cast<const T*>(s.grad);
  T* const to = static_cast<T*>(weights);
  T* const tiles = static_cast<T*>(scratch(Scratch::ProductA, size_t(s.taps * kRows * W) * sizeof(T)));
  const Run* const end = s.runs + s.count;
  for (const Run* first = s.runs; first < end;) {
    const RunGroup all(first, end, kPositions);
    const int64_t panels = (s.filters + W - 1) / W;
    T* const packed = static_cast<T*>(scratch(Scratch::ProductB, size_t(panels * W * all.positions) * sizeof(T)));
    pack_b(packed, grad + first->column, 1, s.grad_row, all.positions, s.filters);
    for (int64_t j = 0; j < s.filters; j += W)
      for (int64_t i = 0; i < s.channels; i += kRows) {
        const int64_t height = std::min<int64_t>(kRows, s.channels - i), width = std::min(W, s.filters - j);
        const auto tile = tile_of<T, TileOrder::InRuns>(height, width > L);
        const T* b = packed + j * all.positions;
        for (const Run* run = first; run < first + all.count;) {
          const RunGroup block(run, first + all.count, kDepth<T>);
          // The part of the next block that the tile of one tap prefetches.
          const int64_t share = block.positions / s.taps * W;
          for (int64_t t = 0; t < s.taps; ++t)
            tile(block.positions, {image + i * s.image_row + s.offsets[t], s.image_row, run},
                 {b, W, {b + block.positions * W + t * share, W}}, {tiles + t * kRows * W, W, W, T(1), T(run > first)});
          b += block.positions * W;
          run += block.count;
        }
        store_tiles(s, tiles, height, width, s.add || first > s.runs, to + (j * s.channels + i) * s.taps);
      }
    first += all.count;
  }
}

}  // namespace

void fill_shifted_products(Table& table) {
  table.shifted_products[0] = shifted_products<float>;
  table.shifted_products[1] = shifted_products<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
