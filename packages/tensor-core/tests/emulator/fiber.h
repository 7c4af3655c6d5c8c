// Stacks, and the switch from one to another.
#pragma once

#include <cstddef>

namespace emulated {

// Saves the running fiber's state on its stack, its stack pointer in `*from`, and continues the one saved in `to`.
extern "C" void emulated_switch(void** from, void* to);

// The stack pointer of a fiber that will start with `entry`, which must not return. There are as many fibers as
// numbers that were ever asked for, and each keeps its stack.
void* new_fiber(unsigned number, void (*entry)());

}  // namespace emulated
