// The installed parts of CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "flambeau/macros.h"

namespace flambeau::cuda {

FLAMBEAU_API int driver_version();                     // 13010 is CUDA 13.1; RuntimeError without a driver
FLAMBEAU_API std::pair<int, int> compiler_version();   // the version of NVRTC; RuntimeError if it is not installed
FLAMBEAU_API const std::vector<int>& architectures();  // the targets of the compiler, ascending: 75 is sm_75
FLAMBEAU_API std::string cache_folder();               // the folder of compiled kernels; empty without a folder
FLAMBEAU_API int64_t cublaslt_version();               // 130100 is cuBLASLt 13.1.0; 0 if it is not installed
FLAMBEAU_API int64_t cudnn_version();                  // 92800 is cuDNN 9.28; 0 if it is not installed
FLAMBEAU_API void enable_cudnn(bool enabled);          // enables or disables cuDNN (default: enabled)

}  // namespace flambeau::cuda
