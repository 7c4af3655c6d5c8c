// Memory that a thread keeps from call to call, a block for each purpose.
#pragma once

#include <cstddef>

namespace flambeau::kernels {

enum class Scratch { ProductA, ProductB, Image, Count };

// Uninitialised; whoever asks for more later gets another block.
void* scratch(Scratch purpose, size_t bytes);  // core/scratch.cpp

}  // namespace flambeau::kernels
