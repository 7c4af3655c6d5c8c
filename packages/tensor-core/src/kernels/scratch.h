// Services of the calling thread: memory that it keeps between calls, and points at which long work may stop.
#pragma once

#include <cstddef>

namespace flambeau::kernels {

enum class Scratch { ProductA, ProductB, Image, Window, Count };

// Returns uninitialised memory. A later request for more memory returns another block.
void* scratch(Scratch purpose, size_t bytes);  // core/scratch.cpp
// Returns the thread's blocks of more than a megabyte to the allocator, which frees them if they stay unused.
void free_large_scratch();
// Gives the thread other blocks until the first ones are restored.
void* set_scratch_aside();
void restore_scratch(void* aside);

// Memory for a call.
void* borrow(size_t bytes);
void give_back(void* data, size_t bytes);

// Between blocks of long work: handles signals, and throws where the work is to end (poll_signals in interpreter.h).
void checkpoint();

}  // namespace flambeau::kernels
