// The interface between compiled kernels and the emulated driver. It is part of the prelude of every kernel.
#pragma once

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

namespace emulated {

inline constexpr int kWarpSize = 32;

// The source location at which threads meet.
struct SourceLocation {
  const char* file;
  int line;
};

enum class WarpOperation : int { kSynchronize, kShuffle, kBallot, kMatch };

// Functions of the driver that running kernels call.
struct Services {
  unsigned (*barrier)(bool predicate,
                      SourceLocation location);  // returns the number of threads whose predicate is true
  unsigned long long (*warp)(WarpOperation operation, unsigned mask, unsigned long long value, unsigned source,
                             SourceLocation location);
  void (*yield)();
  void (*fail)(int error, const char* message,
               SourceLocation location);  // does not return; the file of `location` may be null
};

struct Kernel {
  void (*body)(const void* arguments);
  unsigned long argument_bytes;
  unsigned threads;  // maximum number of threads per block
  bool cooperative;
};

}  // namespace emulated
