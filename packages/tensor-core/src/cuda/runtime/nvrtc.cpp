#include "cuda/runtime/nvrtc.h"

#include <filesystem>

#include "cuda/runtime/library.h"
#include "flambeau/errors.h"
#include "platform/dynamic_library.h"

namespace flambeau::cuda {

namespace {

struct ProgramHandle;

#define FLAMBEAU_NVRTC_FUNCTIONS(X)                                                                               \
  X(nvrtcVersion, (int*, int*))                                                                                   \
  X(nvrtcGetNumSupportedArchs, (int*))                                                                            \
  X(nvrtcGetSupportedArchs, (int*))                                                                               \
  X(nvrtcCreateProgram, (ProgramHandle**, const char*, const char*, int, const char* const*, const char* const*)) \
  X(nvrtcCompileProgram, (ProgramHandle*, int, const char* const*))                                               \
  X(nvrtcGetProgramLogSize, (ProgramHandle*, size_t*))                                                            \
  X(nvrtcGetProgramLog, (ProgramHandle*, char*))                                                                  \
  X(nvrtcGetCUBINSize, (ProgramHandle*, size_t*))                                                                 \
  X(nvrtcGetCUBIN, (ProgramHandle*, char*))                                                                       \
  X(nvrtcGetPTXSize, (ProgramHandle*, size_t*))                                                                   \
  X(nvrtcGetPTX, (ProgramHandle*, char*))                                                                         \
  X(nvrtcDestroyProgram, (ProgramHandle**))

// Loads the library of built-in functions that is in the same folder as NVRTC. NVRTC opens this library by its name,
// and NVRTC of CUDA 13.0 does not search its own folder.
void load_builtins(const void* function_of_nvrtc, int major, int minor) {
  const std::filesystem::path nvrtc = platform::library_of(function_of_nvrtc);
  const std::string name = "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
  platform::open_library((nvrtc.parent_path() / name).string());  // if the library is elsewhere, NVRTC searches for it
}

struct Nvrtc {
  FLAMBEAU_NVRTC_FUNCTIONS(FLAMBEAU_DECLARE_FUNCTION)
  std::vector<int> architectures;

  Nvrtc() {
    std::string tried;
    std::vector<const char*> names = by_generation("libnvrtc.so.13", "libnvrtc.so.12");
    names.push_back("libnvrtc.so");
    void* library = open_library("FLAMBEAU_NVRTC", names, tried);
    require(library, "NVRTC, which compiles flambeau's kernels for the GPU, was not found (looked for ", tried,
            "); pip install nvidia-cuda-nvrtc, or flambeau-tensor-core[cuda]");
#define FLAMBEAU_LOAD(name, parameters)                                    \
  name = reinterpret_cast<int(*) parameters>(find_symbol(library, #name)); \
  require(name, "NVRTC is too old: it lacks " #name "; pip install nvidia-cuda-nvrtc");
    FLAMBEAU_NVRTC_FUNCTIONS(FLAMBEAU_LOAD)
#undef FLAMBEAU_LOAD
    int major = 0, minor = 0;
    nvrtcVersion(&major, &minor);
    require(major * 100 + minor >= 1204, "NVRTC ", major, ".", minor,
            " is too old for flambeau's kernels, which need 12.4; pip install --upgrade nvidia-cuda-nvrtc");
    load_builtins(reinterpret_cast<const void*>(nvrtcVersion), major, minor);
    int count = 0;
    nvrtcGetNumSupportedArchs(&count);
    architectures.resize(size_t(count));
    nvrtcGetSupportedArchs(architectures.data());
  }
};
const Nvrtc& nvrtc() { return the_library<Nvrtc>(); }

// Returns a string that NVRTC provides. The function `size` returns its size, and the function `get` its contents.
template <class Size, class Get>
std::string text_of(ProgramHandle* program, Size size, Get get) {
  size_t bytes = 0;
  if (size(program, &bytes) != 0) return {};
  std::string out(bytes, '\0');
  return get(program, out.data()) == 0 ? out : std::string();
}

}  // namespace

const std::vector<int>& compilable_architectures() { return nvrtc().architectures; }
std::pair<int, int> nvrtc_version() {
  std::pair<int, int> version;
  nvrtc().nvrtcVersion(&version.first, &version.second);
  return version;
}

Compilation compile(const std::string& name, const std::string& source, const std::vector<std::string>& options,
                    bool to_binary) {
  const Nvrtc& n = nvrtc();
  ProgramHandle* program = nullptr;
  require(n.nvrtcCreateProgram(&program, source.c_str(), name.c_str(), 0, nullptr, nullptr) == 0,
          "NVRTC could not create a program for the kernel ", name);
  std::vector<const char*> texts;
  for (const std::string& option : options) texts.push_back(option.c_str());
  Compilation out;
  out.succeeded = n.nvrtcCompileProgram(program, int(texts.size()), texts.data()) == 0;
  // c_str() drops the final zero byte.
  out.log = text_of(program, n.nvrtcGetProgramLogSize, n.nvrtcGetProgramLog).c_str();
  if (out.succeeded)
    out.code = to_binary ? text_of(program, n.nvrtcGetCUBINSize, n.nvrtcGetCUBIN)
                         : text_of(program, n.nvrtcGetPTXSize, n.nvrtcGetPTX);
  n.nvrtcDestroyProgram(&program);
  return out;
}

}  // namespace flambeau::cuda
