// Cumulative sums, and stable sorting by digits (device/sorting/radix.h).
#include "cuda/radix.h"

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "device/indexing/indexing_arguments.h"
#include "device/sorting/sorting_arguments.h"
#include "flambeau/cuda.h"

namespace flambeau::cuda {

namespace {

enum Sum { kTiles, kAdd };
CudaModule& sum_module() {
  static auto* module = new CudaModule(
      "cumulative sums", "#include \"device/reductions/running_sums.h\"\nFLAMBEAU_RUNNING_SUMS\n", {"tiles", "add"});
  return *module;
}

enum RadixKernel { kCount, kScatter };
CudaModule& radix_module(Dtype keys) {
  static auto* modules = new CudaModules;
  const bool has_64_bits = item_size(keys) == 8;
  return modules->find(has_64_bits, [=] {
    return std::make_unique<CudaModule>("sorting",
                                        std::string("#include \"device/sorting/radix.h\"\nFLAMBEAU_RADIX(") +
                                            (has_64_bits ? "uint64_t" : "uint32_t") + ")\n",
                                        std::initializer_list<const char*>{"count", "scatter"});
  });
}

}  // namespace

void running_sums(const Tensor& t) {
  const int64_t n = t.numel(), tiles = divide_up(n, kScanTile);
  if (n == 0) return;
  const Tensor sums = empty({tiles}, Dtype::int64);
  const RunningSumArguments a{reinterpret_cast<int64_t*>(t.device_bytes()),
                              reinterpret_cast<int64_t*>(sums.device_bytes()), n};
  const int device = t.device().index;
  launch(device, sum_module(), kTiles, {unsigned(tiles)}, kThreads, a);
  if (tiles == 1) return;
  running_sums(sums);
  launch(device, sum_module(), kAdd, {unsigned(tiles)}, kThreads, a);
}

SortedKeys radix_sort(const Tensor& keys, int64_t rows, int64_t length, int bits) {
  require<NotImplementedError>(length < int64_t(1) << 32,
                               "sorting rows of more than 2**32 - 1 elements is not supported");
  const int64_t tiles = divide_up(length, kScanTile);
  const Tensor counts = empty({rows * 256 * tiles}, Dtype::int64);
  SortedKeys from{keys, {}}, to{empty({rows * length}, keys.dtype()), empty({rows * length}, Dtype::uint32)};
  if (length == 0 || rows == 0) return to;
  CudaModule& module = radix_module(keys.dtype());
  const int device = keys.device().index;
  for (int shift = 0; shift < bits; shift += 8) {
    RadixArguments a;
    a.keys = from.keys.device_bytes();
    a.positions = from.positions.defined() ? reinterpret_cast<const uint32_t*>(from.positions.device_bytes()) : nullptr;
    a.keys_out = to.keys.device_bytes();
    a.positions_out = reinterpret_cast<uint32_t*>(to.positions.device_bytes());
    a.counts = reinterpret_cast<int64_t*>(counts.device_bytes());
    a.rows = rows, a.length = length, a.tiles = tiles, a.shift = shift;
    const Grid grid{unsigned(rows * tiles)};
    launch(device, module, kCount, grid, kThreads, a);
    running_sums(counts);
    launch(device, module, kScatter, grid, kThreads, a);
    if (!from.positions.defined()) from.positions = empty({rows * length}, Dtype::uint32);
    std::swap(from, to);
  }
  return from;
}

}  // namespace flambeau::cuda
