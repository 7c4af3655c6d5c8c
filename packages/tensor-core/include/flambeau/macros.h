// Macros for visibility, branch hints, inlining and the device for which code is compiled.
#pragma once

// The linker exports symbols with default visibility, also from DLLs.
#define FLAMBEAU_API __attribute__((visibility("default")))

#define FLAMBEAU_LIKELY(x) __builtin_expect(!!(x), 1)
#define FLAMBEAU_UNLIKELY(x) __builtin_expect(!!(x), 0)

// For functions that kernels of several instruction sets share: if they were not inlined, the linker might use the copy
// for one instruction set for all instruction sets.
#define FLAMBEAU_INLINE inline __attribute__((always_inline))

// Defined for code that is compiled for a GPU or for its emulation.
#if defined(__CUDACC__) || defined(FLAMBEAU_EMULATED)
#define FLAMBEAU_DEVICE
#endif
