// Visibility, branch hints and where the code runs; nothing else belongs here.
#pragma once

#if defined(_WIN32)
#ifdef FLAMBEAU_BUILD
#define FLAMBEAU_API __declspec(dllexport)
#else
#define FLAMBEAU_API __declspec(dllimport)
#endif
#else
#define FLAMBEAU_API __attribute__((visibility("default")))
#endif

#define FLAMBEAU_LIKELY(x) __builtin_expect(!!(x), 1)
#define FLAMBEAU_UNLIKELY(x) __builtin_expect(!!(x), 0)

// For what kernels share: an out-of-line copy compiled for one instruction set must never serve another.
#define FLAMBEAU_INLINE inline __attribute__((always_inline))

// Code for a GPU or for its emulation.
#if defined(__CUDACC__) || defined(FLAMBEAU_EMULATED)
#define FLAMBEAU_DEVICE
#endif
