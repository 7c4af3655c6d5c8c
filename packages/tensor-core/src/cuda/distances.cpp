#include "cuda/distances.h"

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "device/linalg/distances_arguments.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kDistances, kSlopes };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "distances",
        std::string("#include \"device/linalg/distances.h\"\nFLAMBEAU_DISTANCES(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"distances", "slopes"});
  });
}

DistanceArguments arguments(const Tensor& out, const Tensor& x, const Tensor& y, double p) {
  return {x.device_bytes(), y.device_bytes(), out.device_bytes(), nullptr,   nullptr,
          x.size(0),        x.size(1),        y.size(1),          x.size(2), p};
}

}  // namespace

void distances(const Tensor& out, const Tensor& x, const Tensor& y, double p) {
  if (out.numel() == 0) return;
  const DistanceArguments a = arguments(out, x, y, p);
  const int64_t blocks = a.batch * divide_up(a.n, kDistanceTile) * divide_up(a.k, kDistanceTile);
  launch(out.device().index, module_of(out.dtype()), kDistances, {unsigned(blocks)}, kThreads, a);
}

void distance_slopes(const Tensor& out, const Tensor& x, const Tensor& y, const Tensor& grad, const Tensor& distances,
                     double p) {
  if (out.numel() == 0) return;
  DistanceArguments a = arguments(out, x, y, p);
  a.grad = grad.device_bytes(), a.distances = distances.device_bytes();
  launch(out.device().index, module_of(out.dtype()), kSlopes, {unsigned(divide_up(out.numel(), kThreads))}, kThreads,
         a);
}

}  // namespace flambeau::cuda
