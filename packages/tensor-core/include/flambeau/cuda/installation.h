// What of CUDA is installed, for people and programs that ask.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "flambeau/macros.h"

namespace flambeau::cuda {

FLAMBEAU_API int driver_version();                     // 13010 is CUDA 13.1; RuntimeError where there is no driver
FLAMBEAU_API std::pair<int, int> compiler_version();   // of NVRTC; RuntimeError where there is none
FLAMBEAU_API const std::vector<int>& architectures();  // that it compiles for, ascending: 75 is sm_75
FLAMBEAU_API std::string cache_folder();               // of compiled kernels; empty where there is no place for them
FLAMBEAU_API int64_t cublaslt_version();               // 130100 is cuBLASLt 13.1.0; 0 where there is none
FLAMBEAU_API int64_t cudnn_version();                  // 92800 is cuDNN 9.28; 0 where there is none
FLAMBEAU_API void want_cudnn(bool enabled);            // whether convolutions go to it, as they do at first

}  // namespace flambeau::cuda
