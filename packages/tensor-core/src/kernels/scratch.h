// Memory that a kernel keeps from call to call.
#pragma once

#include "flambeau/memory.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

struct Scratch {  // of one thread
  ~Scratch() {
    if (data) deallocate(data, bytes);
  }
  void* get(size_t wanted) {
    if (wanted > bytes) {
      if (data) deallocate(data, bytes);
      data = allocate(wanted);
      bytes = wanted;
    }
    return data;
  }
  void* data = nullptr;
  size_t bytes = 0;
};

}  // namespace flambeau::kernels::FLAMBEAU_ISA
