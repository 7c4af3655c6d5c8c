#include "cuda/transpose.h"

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

void copy_transposed(int device, const TransposeArguments& a, Dtype through, Dtype to, Dtype from) {
  static auto* modules = new CudaModules;
  CudaModule& module = modules->find((uint64_t(through) * 16 + uint64_t(to)) * 16 + uint64_t(from), [&] {
    const std::string types = std::string(type_name(through)) + ", " + type_name(to) + ", " + type_name(from);
    return std::make_unique<CudaModule>(
        "transpose", "#include \"device/elementwise/transpose.h\"\nFLAMBEAU_TRANSPOSE(" + types + ")\n",
        std::initializer_list<const char*>{"transpose"});
  });
  int64_t blocks = int64_t(a.tiles[0].divisor) * a.tiles[1].divisor;
  for (int d = 0; d < a.dims; ++d) blocks *= a.sizes[d].divisor;
  launch(device, module, 0, {unsigned(blocks)}, kTransposeThreads, a);
}

}  // namespace flambeau::cuda
