// How a kernel is declared: it takes one argument struct by value, which its body knows as `a`.
//
//   FLAMBEAU_KERNEL(scale, ScaleArguments) { ... a.factor ... }
//
// A kernel that uses barriers, warp operations or shared memory is a cooperative one, whose blocks have at most
// `threads` threads; a further number says how many blocks a multiprocessor shall have room for. The distinction
// matters to the emulation only (tests/emulator): there a cooperative block's threads take turns, while those of other
// kernels run one after the other, which is much quicker.
#pragma once

#ifdef FLAMBEAU_EMULATED

#define FLAMBEAU_EMULATED_KERNEL(name, Arguments, threads, cooperative)                                            \
  static void name##_body(const Arguments& a);                                                                     \
  extern "C" {                                                                                                     \
  extern __attribute__((visibility("default"))) const emulated::Kernel name;                                       \
  const emulated::Kernel name = {emulated::call<Arguments, name##_body>, sizeof(Arguments), threads, cooperative}; \
  }                                                                                                                \
  static void name##_body([[maybe_unused]] const Arguments& a)
#define FLAMBEAU_KERNEL(name, Arguments) FLAMBEAU_EMULATED_KERNEL(name, Arguments, 1024, false)
#define FLAMBEAU_COOPERATIVE_KERNEL(name, Arguments, threads, ...) \
  FLAMBEAU_EMULATED_KERNEL(name, Arguments, threads, true)

#else

#define FLAMBEAU_KERNEL(name, Arguments) extern "C" __global__ void name(const __grid_constant__ Arguments a)
#define FLAMBEAU_COOPERATIVE_KERNEL(name, Arguments, threads, ...)                 \
  extern "C" __global__ void __launch_bounds__(threads __VA_OPT__(, ) __VA_ARGS__) \
      name(const __grid_constant__ Arguments a)

#endif
