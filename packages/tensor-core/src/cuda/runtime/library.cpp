#include "cuda/runtime/library.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "cuda/runtime/driver.h"
#include "flambeau/cuda/installation.h"
#include "platform/dynamic_library.h"

namespace flambeau::cuda {

namespace {

namespace fs = std::filesystem;

// Returns the folder of the installed Python package. This library is in the folder `lib` of the package.
fs::path package_folder() {
  const std::string own = platform::library_of(reinterpret_cast<const void*>(&package_folder));
  std::error_code ignored;
  return own.empty() ? fs::path() : fs::weakly_canonical(own, ignored).parent_path().parent_path();
}

// Returns the folders site-packages/nvidia/<component>/lib of all components, and the library folders of CUDA toolkits.
std::vector<fs::path> library_folders() {
  std::vector<fs::path> out;
  std::error_code none;
  for (const auto& component : fs::directory_iterator(package_folder().parent_path() / "nvidia", none))
    out.push_back(component.path() / "lib");
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* toolkit = std::getenv(variable)) out.push_back(fs::path(toolkit) / "lib64");
  out.push_back("/usr/local/cuda/lib64");
  return out;
}

}  // namespace

void* open_library(const char* variable, const std::vector<const char*>& names, std::string& tried) {
  if (const char* path = std::getenv(variable); path && *path) {
    tried = std::string(path) + " (from the environment variable " + variable + ")";
    return platform::open_library(path, platform::Visibility::Global);
  }
  const auto folders = library_folders();
  for (const char* name : names) {
    tried += (tried.empty() ? "" : ", ") + std::string(name);
    std::error_code ignored;
    for (const fs::path& folder : folders)
      if (fs::exists(folder / name, ignored))
        if (void* library = platform::open_library((folder / name).string())) return library;
    if (void* library = platform::open_library(name)) return library;
  }
  return nullptr;
}

std::vector<const char*> by_generation(const char* of_13, const char* of_12) {
  const bool older = driver_obstacle().empty() && driver_version() < 13000;
  return older ? std::vector{of_12, of_13} : std::vector{of_13, of_12};
}

void* find_symbol(void* library, const char* name) { return platform::find_symbol(library, name); }

const std::string& include_folder() {
  static const std::string folder = (package_folder() / "include").string();
  return folder;
}

const std::string& kernel_folder() {
  static const std::string folder = (package_folder() / "gpu").string();
  return folder;
}

}  // namespace flambeau::cuda
