// Selection of elements by rank on a GPU. The kernels are in device/sorting/selection.h.
#include "cuda/radix.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/sorting.h"
#include "device/sorting/sorting_arguments.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kCount, kChoose, kTally, kCollect };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "selection",
        std::string("#include \"device/sorting/selection.h\"\nFLAMBEAU_SELECTION(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"count", "choose", "tally", "collect"});
  });
}

template <class Number>
Number* numbers(const Tensor& t) {
  return reinterpret_cast<Number*>(t.device_bytes());
}

}  // namespace

Tensor select(const Tensor& in, int64_t rows, int64_t length, const Tensor& ranks, int64_t chosen, bool descending) {
  const int64_t tiles = divide_up(length, kScanTile), each = std::max<int64_t>(chosen, 1);
  const Tensor positions = empty({rows, each}, Dtype::int64);
  if (positions.numel() == 0 || length == 0) return positions;
  const Tensor left = clone(contiguous(ranks)), prefixes = zeros({rows}, Dtype::int64),
               counts = zeros({rows * 256}, Dtype::int64), less = empty({rows * tiles}, Dtype::int64),
               equal = empty({rows * tiles}, Dtype::int64);
  SelectionArguments a{in.device_bytes(),
                       rows,
                       length,
                       tiles,
                       descending,
                       0,
                       numbers<uint64_t>(prefixes),
                       numbers<int64_t>(left),
                       numbers<unsigned long long>(counts),
                       numbers<int64_t>(less),
                       numbers<int64_t>(equal),
                       numbers<int64_t>(positions),
                       chosen};
  CudaModule& module = module_of(in.dtype());
  const auto run = [&](Kernel kernel, int64_t blocks) {
    launch(in.device().index, module, kernel, {unsigned(blocks)}, kThreads, a);
  };
  for (a.shift = 8 * int(item_size(in.dtype())) - 8; a.shift >= 0; a.shift -= 8) {
    run(kCount, rows * tiles);
    run(kChoose, rows);
  }
  run(kTally, rows * tiles);
  running_sums(less);
  running_sums(equal);
  run(kCollect, rows * tiles);
  return positions;
}

}  // namespace flambeau::cuda
