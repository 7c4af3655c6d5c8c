// Cumulative sums, products, extremes and log-sum-exps on a GPU.
#include "cuda/operators.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/plans.h"
#include "device/reductions/scan_arguments.h"

namespace flambeau::cuda {

namespace {

CudaModule& module_of(Scan op, Dtype in) {
  static constexpr const char* names[] = {"Sum", "Prod", "Max", "Min", "LogSumExp"};
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(op) * 64 + uint64_t(in), [&] {
    const std::string name = (op == Scan::LogSumExp && is_complex(in) ? "Complex" : "") + std::string(names[int(op)]);
    return std::make_unique<CudaModule>(
        name, "#include \"device/reductions/scan.h\"\nFLAMBEAU_SCAN(" + name + "<" + type_name(in) + ">)\n",
        std::initializer_list<const char*>{"short_rows", "rows", "columns"});
  });
}

}  // namespace

Tensor scan(Scan op, const Tensor& in, int64_t outer, int64_t length, int64_t inner, const Tensor& indices) {
  const Tensor out = empty(in.shape(), in.dtype());
  if (out.numel() == 0) return out;
  const int device = in.device().index;
  const ScanPlan plan =
      scan_plan_of({outer, length, inner}, item_size(in.dtype()), op == Scan::LogSumExp && is_complex(in.dtype()));
  ScanArguments a{};
  a.in = in.device_bytes(), a.out[0] = out.device_bytes();
  a.out[1] = indices.defined() ? indices.device_bytes() : nullptr;
  a.outer = outer, a.length = length, a.inner = inner, a.part = plan.part, a.parts = int(plan.parts);
  CudaModule& module = module_of(op, in.dtype());
  Tensor totals;
  if (plan.parts > 1) {
    constexpr int64_t kLargestState = 16;  // in bytes; a double and a position, or two doubles
    totals = empty({outer * plan.parts * inner * kLargestState}, Dtype::uint8);
    a.totals = totals.device_bytes();
    a.totals_only = 1;
    launch(device, module, plan.kernel, plan.grid, kScanThreads, a);
    a.totals_only = 0;
  }
  launch(device, module, plan.kernel, plan.grid, kScanThreads, a);
  return out;
}

}  // namespace flambeau::cuda
