// The prelude of the source of every kernel. It defines for a host compiler what NVRTC defines without any header.
// Kernels are defined with the macros of device/threads/kernel.h, which test FLAMBEAU_EMULATED.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include <math.h>
#include <stdint.h>
#ifdef __x86_64__
// Every kernel includes it through flambeau/element.h; here it is part of the precompiled header.
#include <emmintrin.h>
#endif

#include "kernel_interface.h"

#define FLAMBEAU_EMULATED 1

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __thread  // a block runs on one host thread, one block at a time
#define __constant__ __attribute__((visibility("default")))

extern "C" {
#pragma GCC visibility push(default)
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
const emulated::Services* emulated_services;
#pragma GCC visibility pop

// Returns an address in the shared memory, by which the driver finds all of it.
[[gnu::visibility("default")]] void* emulated_shared_memory() {
  static __thread char some;
  return &some;
}

// Functions that g++ calls for failed assertions and for errors found by the sanitizers (build.py). For these errors
// the behaviour of a GPU differs from the host's: it stops at a misaligned access, it writes beyond the end of an
// array, and it shifts differently by too large an amount.
#pragma GCC visibility push(hidden)
[[noreturn]] void __assert_fail(const char* text, const char* file, unsigned line, const char*) noexcept {
  emulated_services->fail(710, text, {file, int(line)});
  __builtin_unreachable();
}
[[noreturn]] void __ubsan_handle_type_mismatch_v1_abort(const emulated::SourceLocation* location, unsigned long) {
  emulated_services->fail(716, "misaligned access", *location);
  __builtin_unreachable();
}
[[noreturn]] void __ubsan_handle_out_of_bounds_abort(const emulated::SourceLocation* location, unsigned long) {
  emulated_services->fail(700, "index beyond the end of an array", *location);
  __builtin_unreachable();
}
[[noreturn]] void __ubsan_handle_shift_out_of_bounds_abort(const emulated::SourceLocation* location, unsigned long,
                                                           unsigned long) {
  emulated_services->fail(719, "shift by a negative number, or by as many bits as there are", *location);
  __builtin_unreachable();
}
#pragma GCC visibility pop
}
constexpr int warpSize = emulated::kWarpSize;

namespace emulated {

template <class Arguments, void (*body)(const Arguments&)>
void call(const void* arguments) {
  static_assert(sizeof(Arguments) <= 32764, "the arguments of a kernel are too large");
  body(*static_cast<const Arguments*>(arguments));
}

template <class To, class From>
inline To bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

// Types that lanes can exchange: numbers. Small ones are converted to int.
template <class T>
concept Exchangeable = std::is_arithmetic_v<T> && sizeof(T) <= 8;

template <Exchangeable T>
inline T shuffle(unsigned mask, T value, unsigned source, SourceLocation location) {
  unsigned long long word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = emulated_services->warp(WarpOperation::kShuffle, mask, word, source, location);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

inline unsigned lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % kWarpSize; }

}  // namespace emulated

// Each point at which threads meet is identified by its source line.
#define EMULATED_PLACE_PARAMETERS const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(EMULATED_PLACE_PARAMETERS) { emulated_services->barrier(false, {file, line}); }
inline int __syncthreads_count(int predicate, EMULATED_PLACE_PARAMETERS) {
  return int(emulated_services->barrier(predicate, {file, line}));
}
inline int __syncthreads_or(int predicate, EMULATED_PLACE_PARAMETERS) {
  return emulated_services->barrier(predicate, {file, line}) != 0;
}
inline int __syncthreads_and(int predicate, EMULATED_PLACE_PARAMETERS) {
  return emulated_services->barrier(!predicate, {file, line}) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffff, EMULATED_PLACE_PARAMETERS) {
  emulated_services->warp(emulated::WarpOperation::kSynchronize, mask, 0, 0, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATED_PLACE_PARAMETERS) {
  return unsigned(emulated_services->warp(emulated::WarpOperation::kBallot, mask, predicate != 0, 0, {file, line}));
}
inline int __any_sync(unsigned mask, int predicate, EMULATED_PLACE_PARAMETERS) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATED_PLACE_PARAMETERS) {
  return __ballot_sync(mask, !predicate, file, line) == 0;
}
template <emulated::Exchangeable T>
inline unsigned __match_any_sync(unsigned mask, T value, EMULATED_PLACE_PARAMETERS) {
  unsigned long long word = 0;
  std::memcpy(&word, &value, sizeof value);
  return unsigned(emulated_services->warp(emulated::WarpOperation::kMatch, mask, word, 0, {file, line}));
}
// The hardware decides which threads run together. Here, each thread runs alone.
inline unsigned __activemask() { return 1u << emulated::lane(); }

// Shuffles within groups of `width` lanes. A lane whose source is outside its group keeps its own value.
template <emulated::Exchangeable T>
inline auto __shfl_sync(unsigned mask, T value, int source, int width = warpSize, EMULATED_PLACE_PARAMETERS) {
  const unsigned lane = emulated::lane(), first = lane & ~unsigned(width - 1);
  return emulated::shuffle(mask, +value, first + (unsigned(source) & (width - 1)), {file, line});
}
template <emulated::Exchangeable T>
inline auto __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize, EMULATED_PLACE_PARAMETERS) {
  const unsigned lane = emulated::lane(), source = lane ^ unsigned(lanes), end = (lane | unsigned(width - 1)) + 1;
  return emulated::shuffle(mask, +value, source < end ? source : lane, {file, line});
}
template <emulated::Exchangeable T>
inline auto __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = warpSize, EMULATED_PLACE_PARAMETERS) {
  const unsigned lane = emulated::lane(), end = (lane | unsigned(width - 1)) + 1;
  return emulated::shuffle(mask, +value, lane + lanes < end ? lane + lanes : lane, {file, line});
}
template <emulated::Exchangeable T>
inline auto __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = warpSize, EMULATED_PLACE_PARAMETERS) {
  const unsigned lane = emulated::lane(), within = lane & unsigned(width - 1);
  return emulated::shuffle(mask, +value, within >= lanes ? lane - lanes : lane, {file, line});
}

[[noreturn]] inline void __trap(EMULATED_PLACE_PARAMETERS) {
  emulated_services->fail(719, "__trap()", {file, line});
  __builtin_unreachable();
}
inline void __nanosleep(unsigned) { emulated_services->yield(); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

#include "emulated_functions.h"
#include "emulated_matrix_units.h"
