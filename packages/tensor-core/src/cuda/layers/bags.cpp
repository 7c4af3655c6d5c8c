#include "cuda/layers/bags.h"

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/report.h"

namespace flambeau::cuda {

namespace {

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "bags of rows", std::string("#include \"device/layers/bags.h\"\nFLAMBEAU_BAGS(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"bag"});
  });
}

}  // namespace

void fill_bags(int device, Dtype dtype, BagArguments a) {
  a.reporter = reporter(device);
  if (const int64_t threads = a.bags * a.width)
    launch(device, module_of(dtype), 0, {unsigned(divide_up(threads, kThreads))}, kThreads, a);
}

}  // namespace flambeau::cuda
