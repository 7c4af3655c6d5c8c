// Macros that define kernels. A kernel has one argument struct, passed by value, to which its body refers as `a`.
//
//   FLAMBEAU_KERNEL(scale, ScaleArguments) { ... a.factor ... }
//
// A kernel that uses barriers, warp operations or shared memory is defined with FLAMBEAU_COOPERATIVE_KERNEL. Its blocks
// have at most `threads` threads. An optional number sets the minimum number of blocks that must fit on a
// multiprocessor. The distinction matters only to the emulation (tests/emulator). There, the threads of a cooperative
// block take turns, while the threads of other kernels run one after the other, which is much faster.
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

// Waits until the results of the previous kernel of the stream are visible. See Note [Launches ahead].
inline void wait_for_previous_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

#define FLAMBEAU_DEVICE_KERNEL(name, Arguments, ...)                                 \
  static __forceinline__ void name##_body(const Arguments& a);                       \
  extern "C" __global__ void __VA_ARGS__ name(const __grid_constant__ Arguments a) { \
    wait_for_previous_kernel();                                                      \
    name##_body(a);                                                                  \
  }                                                                                  \
  static __forceinline__ void name##_body([[maybe_unused]] const Arguments& a)
#define FLAMBEAU_KERNEL(name, Arguments) FLAMBEAU_DEVICE_KERNEL(name, Arguments)
#define FLAMBEAU_COOPERATIVE_KERNEL(name, Arguments, threads, ...) \
  FLAMBEAU_DEVICE_KERNEL(name, Arguments, __launch_bounds__(threads __VA_OPT__(, ) __VA_ARGS__))

#endif
