// Division of a matrix product into blocks of work, as plain arithmetic. Note [Tiles] in device/linalg/tile.h
#pragma once

#include <algorithm>

#include "cuda/runtime/launch.h"
#include "device/linalg/tile_arguments.h"

namespace flambeau::cuda {

inline constexpr int64_t kTile = 64, kLargeTile = 128;

// Returns the tile size for a matrix product whose accumulators have `bytes` bytes. Large tiles read the matrices half
// as often. They are used if their number is sufficient to keep all multiprocessors busy.
inline int64_t tile_of(int64_t m, int64_t n, int64_t batch, int64_t bytes) {
  constexpr int64_t kEnough = 128;
  return bytes == 4 && m >= kLargeTile && n >= kLargeTile &&
                 divide_up(m, kLargeTile) * divide_up(n, kLargeTile) * batch >= kEnough
             ? kLargeTile
             : kTile;
}

inline Division division_of(int64_t m, int64_t n, int64_t k, int64_t batch, int64_t tile) {
  constexpr int64_t kEnough = 256, kShortest = 512, kStep = 16;
  Division d{m, n, k, batch, divide_up(m, tile), divide_up(n, tile), 1, std::max<int64_t>(k, 1)};
  const int64_t wanted =
      std::clamp<int64_t>(kEnough / std::max<int64_t>(d.blocks(), 1), 1, std::max<int64_t>(k / kShortest, 1));
  if (wanted == 1) return d;
  d.part_length = divide_up(divide_up(k, wanted), kStep) * kStep;
  d.parts = divide_up(k, d.part_length);
  return d;
}

inline int64_t accumulator_size(Dtype d) {
  if (d == Dtype::bool_) return 8;
  return std::max<int64_t>(item_size(d), 4);
}

inline constexpr std::initializer_list<const char*> kTileKernels = {"tiles", "combine", "elements", "sums"};
enum TileKernel { kTiles, kCombine, kElements, kSums };

// Returns the kernel for a product. Tiles are used unless the result is narrower than a quarter of a tile.
inline TileKernel tile_kernel(const Division& d) {
  constexpr int64_t kNarrow = kTile / 4, kLong = 256, kMaxSums = 65536;
  if (d.m >= kNarrow && d.n >= kNarrow) return kTiles;
  return d.k >= kLong && d.elements() <= kMaxSums ? kSums : kElements;
}

// Runs a matrix product with a module made by FLAMBEAU_TILES. `device` must be the current device of the thread.
template <class Arguments>
void run_tiles(int device, CudaModule& module, Arguments& a, Dtype in) {
  const Division& d = a.division;
  Tensor partial;
  a.partial = nullptr;
  const TileKernel kernel = tile_kernel(d);
  if (kernel != kTiles) {
    const int64_t blocks = kernel == kSums ? d.elements() : divide_up(d.elements(), kThreads);
    return launch(device, module, kernel, {unsigned(blocks)}, kThreads, a);
  }
  if (d.parts > 1) {
    partial = empty({d.parts * d.elements() * accumulator_size(in)}, Dtype::uint8);
    a.partial = partial.device_bytes();
  }
  launch(device, module, kTiles, {unsigned(d.blocks())}, kThreads, a);
  if (d.parts > 1) launch(device, module, kCombine, {unsigned(divide_up(d.elements(), kThreads))}, kThreads, a);
}

}  // namespace flambeau::cuda
