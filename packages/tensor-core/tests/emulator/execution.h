// Runs the grid of a kernel on the calling thread, one block after the other. The threads of a cooperative block run as
// fibers.
#pragma once

#include <string>

#include "kernel_interface.h"

namespace emulated {

// Variables of a compiled module that the emulator sets for the running thread, and the services that kernels call.
struct ModuleVariables {
  uint3 *thread_index, *block_index;
  dim3 *block_size, *grid_size;
  const Services** services;
  // The module's shared memory is thread-local. This function returns an address in it, by which all of it is found.
  void* (*shared_memory)();
  size_t shared_offset, shared_bytes;
};

struct Failure {
  int error = 0;
  std::string message;
};

extern const Services kServices;

// Runs one launch at a time. Returns the failure of the first thread that failed; all other threads are abandoned then.
Failure execute(const Kernel& kernel, const ModuleVariables& variables, const void* arguments, dim3 grid, dim3 block);

}  // namespace emulated
