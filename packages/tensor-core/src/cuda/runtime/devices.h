// The GPUs, their properties, and the current GPU of a thread.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>

#include "cuda/runtime/driver.h"
#include "flambeau/cuda.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

inline constexpr int kMaxDevices = 64;

ContextHandle* context_of(int device);
// Makes the context of a GPU current in this thread, even if other code has changed it. Returns the driver.
const Driver& activate(int device);
// Returns true if the GPU reads pageable host memory directly. A copy may then still read the memory after the call has
// returned.
bool reads_pageable_memory(int device);
// Copies from host memory on the current stream. If the memory is not pinned, the function returns only after it has
// been read completely.
void copy_from_host(int device, DevicePointer to, const void* host, size_t bytes, bool pinned);
// use_pinned() declares that a stream copies asynchronously from or to pinned memory. release_pinned() frees unused
// memory (pinned.cpp).
void use_pinned(const Ref<Storage>& storage, int device, StreamHandle* stream);
void release_pinned();
// Keeps the storage alive as long as the graph that captures the thread's work on that GPU. If another library began
// the capture, keeps it alive forever.
void keep_in_graph(const Ref<Storage>& storage, int device);
// The state of the capture of a stream.
struct CaptureStatus {
  int status = 0;  // 0 if the stream is not captured
  unsigned long long number = 0;
};
CaptureStatus capture_status(int device, StreamHandle* stream);
// Raises RuntimeError if the stream is captured, because the graph would later read host memory that has been freed.
void require_no_capture(int device, StreamHandle* stream);
// Returns the object of class T for a GPU. It is created at its first use and never destroyed, because memory may be
// freed at exit.
template <class T>
T& of_device(int device) {
  static std::mutex mutex;
  static std::array<std::atomic<T*>, kMaxDevices> made{};
  std::atomic<T*>& found = made[size_t(device)];
  if (T* there = found.load(std::memory_order_acquire)) return *there;
  const std::lock_guard lock(mutex);
  if (!found.load(std::memory_order_relaxed)) found.store(new T(device), std::memory_order_release);
  return *found.load(std::memory_order_relaxed);
}
// Raises RuntimeError unless the GPU exists.
void check_device(int device);
// Returns true if the GPU has tensor cores that may be used for this dtype. For float32, TF32 must be allowed. Note
// [Matrix units]
bool has_matrix_units(int device, Dtype dtype);

}  // namespace flambeau::cuda
