// Note [CUDA modules]
#include "cuda/runtime/compiler.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "cuda/runtime/devices.h"
#include "cuda/runtime/library.h"
#include "cuda/runtime/nvrtc.h"
#include "flambeau/cuda/installation.h"
#include "flambeau/errors.h"
#include "platform/process.h"

namespace flambeau::cuda {

namespace {

namespace fs = std::filesystem;

// A hash of all inputs of a compiled module: two independent hashes of 64 bits (FNV-1a).
class Digest {
 public:
  void add(std::string_view text) {
    for (unsigned char byte : text) {
      first_ = (first_ ^ byte) * 0x100000001B3ull;
      second_ = (second_ ^ (byte + 0x5Bu)) * 0x100000001B3ull;
    }
    first_ = (first_ ^ 0x1FF) * 0x100000001B3ull;  // this marks the end of each text
    second_ = (second_ ^ 0x2FF) * 0x100000001B3ull;
  }
  std::string text() const {
    char out[33];
    std::snprintf(out, sizeof out, "%016llx%016llx", static_cast<unsigned long long>(first_),
                  static_cast<unsigned long long>(second_));
    return out;
  }
  uint64_t number() const { return first_; }

 private:
  uint64_t first_ = 0xCBF29CE484222325ull, second_ = 0x84222325CBF29CE4ull;
};

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Returns the digest of the headers that modules include.
const std::string& headers_digest() {
  static const std::string text = [] {
    std::vector<fs::path> files;
    std::error_code none;
    for (const std::string& folder : {include_folder(), kernel_folder()})
      for (const auto& entry : fs::recursive_directory_iterator(folder, none))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    Digest digest;
    for (const fs::path& file : files) {
      digest.add(file.lexically_relative(include_folder()).string());
      digest.add(contents(file));
    }
    return digest.text();
  }();
  return text;
}

fs::path compiled_folder() {
  if (const char* given = std::getenv("FLAMBEAU_CACHE"); given && *given) return fs::path(given) / "kernels";
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return fs::path(cache) / "flambeau" / "kernels";
  if (const char* home = std::getenv("HOME"); home && *home) return fs::path(home) / ".cache" / "flambeau" / "kernels";
  return {};
}

// A cached file contains this header and then the code.
struct Header {
  char magic[8] = {'f', 'l', 'a', 'm', 'b', 'e', 'a', 'u'};
  uint64_t size = 0, sum = 0;
};
uint64_t sum_of(std::string_view code) {
  Digest digest;
  digest.add(code);
  return digest.number();
}

// Returns the contents of a cached file, or an empty string if no complete file exists.
std::string read_cached(const fs::path& path) {
  const std::string file = contents(path);
  Header header, expected;
  if (file.size() < sizeof(Header)) return {};
  std::memcpy(&header, file.data(), sizeof(Header));
  std::string code = file.substr(sizeof(Header));
  const bool whole = std::memcmp(header.magic, expected.magic, sizeof header.magic) == 0 &&
                     header.size == code.size() && header.sum == sum_of(code);
  return whole ? code : std::string();
}

void write_cached(const fs::path& path, const std::string& code) {  // errors are ignored, because the cache is optional
  if (path.empty()) return;
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  fs::path draft = path;
  draft += "." + std::to_string(platform::process_id());
  Header header;
  header.size = code.size();
  header.sum = sum_of(code);
  {
    std::ofstream file(draft, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(code.data(), std::streamsize(code.size()));
    if (!file.flush()) {
      fs::remove(draft, failed);
      return;
    }
  }
  fs::rename(draft, path, failed);
  if (failed) fs::remove(draft, failed);
}

std::vector<std::string> options_for(const std::string& architecture) {
  return {"--gpu-architecture=" + architecture,
          "-std=c++20",
          "-default-device",
          "-DFLAMBEAU_ISA=gpu",
          "-D__FMA__",
          "-I" + include_folder(),
          "-I" + kernel_folder(),
          "-I" + kernel_folder() + "/device/standard"};
}

// Returns the architecture of the GPU. If the compiler does not support it, returns the newest earlier architecture
// that the compiler supports, as intermediate code, which the driver compiles.
std::string architecture_of(int device) {
  const Properties& p = properties(device);
  const int own = p.major * 10 + p.minor;
  const std::vector<int>& known = compilable_architectures();
  if (std::find(known.begin(), known.end(), own) != known.end()) return "sm_" + std::to_string(own);
  int newest = 0;
  for (int each : known)
    if (each < own) newest = std::max(newest, each);
  require(newest > 0, "this NVRTC cannot compile for compute capability ", p.major, ".", p.minor, " (", p.name,
          "); pip install --upgrade nvidia-cuda-nvrtc");
  return "compute_" + std::to_string(newest);
}

// Returns the cache's path for code that NVRTC of this generation compiles. The path is empty if the cache folder does
// not exist.
fs::path cache_path(const std::string& source, const std::string& architecture, int generation) {
  Digest digest;
  digest.add(source);
  digest.add(headers_digest());
  for (const std::string& option : options_for(architecture))
    if (option[1] != 'I') digest.add(option);
  digest.add(std::to_string(generation));
  const fs::path folder = compiled_folder();
  return folder.empty() ? folder : folder / (digest.text() + ".cubin");
}

struct Code {
  std::string text;
  fs::path file = {};  // the file from which the code was read; empty if it was compiled
};

Code cached(const std::string& source, const std::string& architecture, int generation) {
  const fs::path path = cache_path(source, architecture, generation);
  return {read_cached(path), path};
}

Code compiled(int device, const std::string& name, const std::string& source) {
  const std::string architecture = architecture_of(device);
  Compilation made = compile(name, source, options_for(architecture), architecture.starts_with("sm_"));
  require(made.succeeded, "the kernel ", name, " does not compile for ", architecture, ":\n", made.log,
          "\nIts source is\n", source);
  write_cached(cache_path(source, architecture, nvrtc_version().first), made.code);
  return {std::move(made.code)};
}

// Returns the compiled code of a module. Loads NVRTC only if the disk cache has no code that a compiler of the driver's
// generation or an earlier one has produced.
Code code_for(int device, const std::string& name, const std::string& source) {
  constexpr int kOldestGeneration = 12;
  const Properties& p = properties(device);
  const std::string own = "sm_" + std::to_string(p.major * 10 + p.minor);
  for (int generation = driver_version() / 1000; generation >= kOldestGeneration; --generation)
    if (Code found = cached(source, own, generation); !found.text.empty()) return found;
  if (Code found = cached(source, architecture_of(device), nvrtc_version().first); !found.text.empty()) return found;
  return compiled(device, name, source);
}

bool is_rejected(int code) {
  return code == code::kInvalidImage || code == code::kNoBinaryForGpu || code == code::kInvalidPtx ||
         code == code::kUnsupportedPtxVersion || code == code::kJitCompilationDisabled;
}

ModuleHandle* load_module(int device, const std::string& name, const std::string& source) {
  const Code code = code_for(device, name, source);
  const Driver& d = activate(device);
  ModuleHandle* module = nullptr;
  int status = d.cuModuleLoadData(&module, code.text.c_str());
  if (is_rejected(status) && !code.file.empty()) {
    std::error_code ignored;
    fs::remove(code.file, ignored);
    status = d.cuModuleLoadData(&module, compiled(device, name, source).text.c_str());
  }
  if (is_rejected(status)) {
    const auto [major, minor] = nvrtc_version();
    const int driver = driver_version(), generation = driver / 1000;
    detail::raise<Error>("CUDA error while loading a kernel: the driver, which is for CUDA ", generation, ".",
                         driver % 1000 / 10, ", rejects the kernel ", name, " that NVRTC ", major, ".", minor,
                         " has compiled (error ", status, "); pip install nvidia-cuda-nvrtc",
                         generation < 13 ? "-cu12" : "", ", of a version that is not later than the driver's");
  }
  check(status, "loading a kernel");
  return module;
}

std::mutex loading;

}  // namespace

std::string kernel_cache() { return compiled_folder().string(); }

CudaModule::CudaModule(std::string name, std::string source, std::initializer_list<const char*> kernels)
    : name_(std::move(name)),
      source_(std::move(source)),
      names_(kernels),
      functions_(size_t(kMaxDevices) * kernels.size()) {}

FunctionHandle* CudaModule::load(int device, int number) {
  const std::lock_guard lock(loading);
  auto* own = &functions_[size_t(device) * names_.size()];
  if (FunctionHandle* found = own[number].load()) return found;
  ModuleHandle* const module = load_module(device, name_, source_);  // the module is never unloaded
  const Driver& d = activate(device);
  for (size_t i = 0; i < names_.size(); ++i) {
    FunctionHandle* function = nullptr;
    check(d.cuModuleGetFunction(&function, module, names_[i]), "finding a kernel");
    own[i].store(function, std::memory_order_release);
  }
  return own[number].load();
}

}  // namespace flambeau::cuda
