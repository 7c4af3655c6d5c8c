// What the parts of the emulated cuDNN share.
#pragma once

#include "state.h"

namespace emulated {

enum CudnnStatus { kFine = 0, kWrongParameter = 2000, kUnsupported = 3000 };
extern Stream* cudnn_stream;  // the stream of the library's handle

}  // namespace emulated
