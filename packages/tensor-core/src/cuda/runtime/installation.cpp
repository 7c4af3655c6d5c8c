#include "flambeau/cuda/installation.h"

#include "cuda/runtime/compiler.h"
#include "cuda/runtime/nvrtc.h"

namespace flambeau::cuda {

int driver_version() {
  int version = 0;
  check(driver().cuDriverGetVersion(&version), "querying the version of the driver");
  return version;
}
std::pair<int, int> compiler_version() { return nvrtc_version(); }
const std::vector<int>& architectures() { return compilable_architectures(); }
std::string cache_folder() { return kernel_cache(); }

}  // namespace flambeau::cuda
