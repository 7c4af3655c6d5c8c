// Sorting and searching on a GPU; the kernels are in device/sorting/sorting.h.
#include "cuda/sorting.h"

#include "cuda/radix.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "device/sorting/sorting_arguments.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

enum Order { kKeys, kPick, kBriefRows, kStarts };
CudaModule& order_module(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "sorting", std::string("#include \"device/sorting/sorting.h\"\nFLAMBEAU_ORDER(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"keys", "pick", "brief", "starts"});
  });
}
CudaModule& search_module(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "searching", std::string("#include \"device/sorting/sorting.h\"\nFLAMBEAU_SEARCH(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"search_sorted"});
  });
}

Grid grid_for(int64_t threads) { return {unsigned(divide_up(threads, kThreads))}; }

}  // namespace

void sort(const Tensor& in, int64_t rows, int64_t length, bool descending, const Tensor& values,
          const Tensor& indices) {
  if (rows == 0 || length == 0) return;
  const int device = in.device().index;
  CudaModule& module = order_module(in.dtype());
  OrderArguments a{};
  a.in = in.device_bytes();
  a.values = values.defined() ? values.device_bytes() : nullptr;
  a.indices = indices.defined() ? reinterpret_cast<int64_t*>(indices.device_bytes()) : nullptr;
  a.rows = rows, a.length = length, a.descending = descending;
  if (length <= kMaxBlockRow) {
    a.padded = 2;
    while (a.padded < length) a.padded *= 2;
    return launch(device, module, kBriefRows, {unsigned(divide_up(rows, kMaxBlockRow / a.padded))}, kThreads, a);
  }
  const int64_t size = item_size(in.dtype());
  const Tensor keys = empty({rows * length}, size == 8 ? Dtype::uint64 : Dtype::uint32);
  a.keys = keys.device_bytes();
  launch(device, module, kKeys, grid_for(rows * length), kThreads, a);
  // Sorts only by the lower bits. The bits above them are all 0 for keys of a small dtype, or all 1 in descending
  // order.
  const SortedKeys order = radix_sort(keys, rows, length, in.dtype() == Dtype::bool_ ? 1 : int(size) * 8);
  a.positions = reinterpret_cast<const uint32_t*>(order.positions.device_bytes());
  launch(device, module, kPick, grid_for(rows * length), kThreads, a);
}

Tensor run_starts(const Tensor& sorted) {
  const Tensor out = empty({sorted.numel()}, Dtype::bool_);
  if (out.numel() == 0) return out;
  OrderArguments a{};
  a.in = sorted.device_bytes();
  a.starts = reinterpret_cast<uint8_t*>(out.device_bytes());
  a.rows = 1, a.length = sorted.numel();
  launch(out.device().index, order_module(sorted.dtype()), kStarts, grid_for(a.length), kThreads, a);
  return out;
}

void search(const Tensor& sequence, const Tensor& sorter, const Tensor& values, int64_t length, int64_t queries,
            bool right, const Tensor& out) {
  if (out.numel() == 0) return;
  const Tensor wanted = flambeau::to(values, out.device());  // a single value may be on the host
  launch(out.device().index, search_module(sequence.dtype()), 0, grid_for(out.numel()), kThreads,
         SearchArguments{sequence.device_bytes(), wanted.device_bytes(),
                         sorter.defined() ? reinterpret_cast<const int64_t*>(sorter.device_bytes()) : nullptr,
                         reinterpret_cast<int64_t*>(out.device_bytes()), out.numel(), length, queries, right});
}

}  // namespace flambeau::cuda
