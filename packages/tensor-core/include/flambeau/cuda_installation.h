// What of CUDA is installed, for people and programs that ask.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flambeau/macros.h"

namespace flambeau::cuda {

FLAMBEAU_API int driver_version();                     // 13010 is CUDA 13.1; RuntimeError where there is no driver
FLAMBEAU_API std::pair<int, int> compiler_version();   // of NVRTC; RuntimeError where there is none
FLAMBEAU_API const std::vector<int>& architectures();  // that it compiles for, ascending: 75 is sm_75
FLAMBEAU_API std::string cache_folder();               // of compiled kernels; empty where there is no place for them

}  // namespace flambeau::cuda
