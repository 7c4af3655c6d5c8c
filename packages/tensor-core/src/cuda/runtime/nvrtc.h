// NVRTC, NVIDIA's run-time compiler, which is loaded at first use.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace flambeau::cuda {

struct Compilation {
  bool succeeded;
  std::string code, log;
};
// Raises a RuntimeError that names the package to install if NVRTC is missing.
Compilation compile(const std::string& name, const std::string& source, const std::vector<std::string>& options,
                    bool to_binary);
// Returns the supported architectures in ascending order: 75 is sm_75.
const std::vector<int>& compilable_architectures();
std::pair<int, int> nvrtc_version();

}  // namespace flambeau::cuda
