#include "cuda/layers/bags.h"

#include "cuda/runtime/launch.h"
#include "cuda/runtime/report.h"
#include "cuda/runtime/units.h"

namespace flambeau::cuda {

namespace {

Unit& unit_of(Dtype dtype) {
  static auto* units = new Units;
  return units->find(uint64_t(dtype), [=] {
    return std::make_unique<Unit>(
        "bags of rows", std::string("#include \"device/layers/bags.h\"\nFLAMBEAU_BAGS(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"bag"});
  });
}

}  // namespace

void fill_bags(int device, Dtype dtype, BagArguments a) {
  a.reporter = reporter(device);
  if (const int64_t threads = a.bags * a.width)
    launch(device, unit_of(dtype), 0, {unsigned(divide_up(threads, kThreads))}, kThreads, a);
}

}  // namespace flambeau::cuda
