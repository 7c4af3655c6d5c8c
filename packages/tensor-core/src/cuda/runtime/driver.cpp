#include "cuda/runtime/driver.h"

#include "flambeau/errors.h"
#include "platform/process.h"

namespace flambeau::cuda {

namespace {

constexpr int kOldestVersion = 12000;  // CUDA 12.0; code that is compiled for CUDA 12 or later is supported
bool forked = false;                   // true in a process forked after the driver was initialised

// The driver, or the reason why it is not available.
struct LoadedDriver {
  Driver functions;
  std::string obstacle;

  LoadedDriver() { obstacle = load(); }

  std::string load() {
    std::string tried;
    void* library = open_library("FLAMBEAU_CUDA_DRIVER", {"libcuda.so.1", "libcuda.so"}, tried);
    if (!library)
      return "no NVIDIA driver was found (looked for " + tried + "); install the driver of the graphics card";
#define FLAMBEAU_LOAD(name, parameters)                                              \
  functions.name = reinterpret_cast<int(*) parameters>(find_symbol(library, #name)); \
  if (!functions.name) return too_old("lacks " #name);
    FLAMBEAU_DRIVER_FUNCTIONS(FLAMBEAU_LOAD)
#undef FLAMBEAU_LOAD
    int version = 0;
    if (functions.cuDriverGetVersion(&version) == 0 && version < kOldestVersion)
      return too_old("is for CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10));
    if (const int code = functions.cuInit(0)) {
      const char* text = nullptr;
      functions.cuGetErrorString(code, &text);
      return std::string("the NVIDIA driver could not be initialised: ") + (text ? text : "unknown error") +
             " (error " + std::to_string(code) + "); run nvidia-smi to check the driver";
    }
    platform::after_fork_in_child([] { forked = true; });
    return {};
  }

  static std::string too_old(const std::string& fact) {
    return "the NVIDIA driver is too old: it " + fact + "; install one for CUDA 12.0 or later";
  }
};

LoadedDriver& loaded() {
  static LoadedDriver* once = new LoadedDriver;  // never destroyed: memory may be freed during exit
  return *once;
}

}  // namespace

const std::string& driver_obstacle() { return loaded().obstacle; }

const Driver& driver() {
  LoadedDriver& l = loaded();
  require(l.obstacle.empty(), "CUDA is not available: ", l.obstacle);
  require(!forked,
          "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' "
          "start method");
  return l.functions;
}

void fail(int code, const char* what) {
  const char *name = nullptr, *text = nullptr;
  const Driver& d = loaded().functions;
  if (d.cuGetErrorName) d.cuGetErrorName(code, &name), d.cuGetErrorString(code, &text);
  detail::raise<Error>("CUDA error while ", what, ": ", text ? text : "unknown error", " (", name ? name : "code", " ",
                       code, ")");
}

}  // namespace flambeau::cuda
