// Functions for the calling thread: memory that is kept between calls, and checkpoints at which long work may stop.
#pragma once

#include <cstddef>

namespace flambeau::kernels {

enum class Scratch { ProductA, ProductB, Image, Window, Fourier, Count };

// Returns uninitialised memory. It is valid until the thread requests a larger block for the same purpose.
void* scratch(Scratch purpose, size_t bytes);  // core/scratch.cpp
// Returns the thread's blocks of more than a megabyte to the allocator, which frees them if they stay unused.
void free_large_scratch();
// Gives the thread new blocks until restore_scratch() restores the previous ones.
void* set_scratch_aside();
void restore_scratch(void* aside);

// Returns memory for the duration of a call. The caller must release it with release_temporary.
void* borrow(size_t bytes);
void release_temporary(void* data, size_t bytes);

// Called between blocks of long work. Handles signals, and throws if the work has to stop (poll_signals in
// interpreter.h).
void checkpoint();

}  // namespace flambeau::kernels
