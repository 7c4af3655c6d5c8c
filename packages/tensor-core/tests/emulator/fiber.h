// Stacks of fibers, and switching between them.
#pragma once

#include <cstddef>

namespace emulated {

// Saves the running fiber's state on its stack, its stack pointer in `*from`, and continues the one saved in `to`.
extern "C" void emulated_switch(void** from, void* to);

// Returns the stack pointer of a fiber that will run `entry`, which must not return. Fibers are numbered; the stack of
// each number is allocated once and reused.
void* new_fiber(unsigned number, void (*entry)());

}  // namespace emulated
