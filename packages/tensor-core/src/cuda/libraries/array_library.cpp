#include "flambeau/cuda/array_library.h"

namespace flambeau::cuda {

ArrayFunction array_function = nullptr;

}  // namespace flambeau::cuda
