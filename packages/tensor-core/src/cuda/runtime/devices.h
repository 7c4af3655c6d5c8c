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
// Makes the context of a GPU current in this thread, even if other code has changed it, and returns the driver.
const Driver& activate(int device);
// Returns true if the GPU accesses pageable host memory directly, so that copies may read it after they have returned.
bool reads_pageable_memory(int device);
// Copies from host memory on the current stream. Memory that is not pinned has been read when this returns.
void copy_from_host(int device, DevicePointer to, const void* host, size_t bytes, bool pinned);
// Pinned memory (pinned.cpp): declares that a stream copies from or to it asynchronously; frees unused memory.
void use_pinned(const Ref<Storage>& storage, int device, StreamHandle* stream);
void release_pinned();
// Makes the graph that captures the thread's work on that GPU keep the storage alive.
void keep_in_graph(const Ref<Storage>& storage, int device);
// Capture status of a stream.
struct CaptureStatus {
  int status = 0;  // 0 if there is no capture
  unsigned long long number = 0;
};
CaptureStatus capture_status(int device, StreamHandle* stream);
// Raises RuntimeError if the stream's work is captured: the graph would read freed host memory.
void require_no_capture(int device, StreamHandle* stream);
// An object per GPU, created on first use. It is never destroyed, since memory may be freed at exit.
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
// Returns true if the GPU has tensor cores for this dtype. Note [Matrix units]
bool has_matrix_units(int device, Dtype dtype);

}  // namespace flambeau::cuda
