// Reference counting, the caching allocator and storages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <type_traits>
#include <utility>

#include "flambeau/macros.h"

namespace flambeau {

// Cached, 64-byte aligned host memory (Note [Host memory] in src/core/allocator.cpp).
FLAMBEAU_API void* allocate(size_t bytes);
FLAMBEAU_API void deallocate(void* block, size_t bytes) noexcept;  // `bytes` as passed to allocate
// Returns cached blocks to the system. Other threads return their small blocks when they next free a block.
FLAMBEAU_API void empty_cache();
FLAMBEAU_API size_t cached_bytes();     // bytes held for reuse
FLAMBEAU_API size_t allocated_bytes();  // bytes in use; the size of a small block is rounded up to a multiple of 64

// A reference count. If the count is 1, decrease() needs no atomic read-modify-write instruction, because no other
// thread can add a reference.
class ReferenceCount {
 public:
  void increase() { count_.fetch_add(1, std::memory_order_relaxed); }
  // Returns true if this was the last reference.
  bool decrease() {
    return count_.load(std::memory_order_acquire) == 1 || count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  uint32_t value() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> count_{1};
};

template <class T>
class Ref {  // an intrusive reference: T has retain() and release()
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) {
    if (p_) p_->retain();
  }
  static Ref adopt(T* p) {  // takes over the caller's reference; the count does not change
    Ref r;
    r.p_ = p;
    return r;
  }
  Ref(const Ref& o) : Ref(o.p_) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(const Ref<U>& o) : Ref(o.get()) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_) p_->release();
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  T* detach() { return std::exchange(p_, nullptr); }
  bool operator==(const Ref& o) const { return p_ == o.p_; }

 private:
  T* p_ = nullptr;
};

// The device of a storage.
//
// Note [Devices]
// New memory is allocated on the current device of the thread (OnDevice). A call from Python sets this device for the
// duration of the call if an argument is a tensor on a device other than the CPU. Therefore an operator only handles
// devices where it accesses elements.
//
// A meta tensor has a shape, strides and a dtype, but no memory. An operator computes the shape and dtype of its result
// and returns before it accesses elements. An operator without this check raises NotImplementedError, because a meta
// storage has no pointer.
//
// A CUDA storage has its memory on a GPU. If an operator has a CUDA kernel, it runs there (cuda::runs_on_gpu in
// cuda.h). If it requests a host pointer, the contents are copied to the host, and copied back when the GPU next needs
// them. Note [Two memories] in src/cuda/runtime/storage.cpp
enum class DeviceType : uint8_t { Cpu, Cuda, Meta };
FLAMBEAU_API const char* name(DeviceType type);

struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = 0;  // index of the GPU; 0 for other types

  constexpr Device() = default;
  constexpr Device(DeviceType type, int index = 0) : type(type), index(int8_t(index)) {}
  friend constexpr bool operator==(Device a, Device b) { return a.type == b.type && a.index == b.index; }
  friend constexpr bool operator==(Device a, DeviceType type) { return a.type == type; }
};
FLAMBEAU_API std::ostream& operator<<(std::ostream& out, Device device);  // cpu, cuda:0, meta

class FLAMBEAU_API OnDevice {  // scope that sets the device on which this thread allocates
 public:
  // `operation`: the name of the operation for error messages.
  explicit OnDevice(Device device, const char* operation = nullptr);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  static Device current();
  static const char* operation();  // never null

 private:
  Device former_;
  const char* former_operation_;
};
// Called for each storage that is created (1) or destroyed (-1) on a device other than the CPU; null if not used.
FLAMBEAU_API extern void (*foreign_storages_changed)(int by);

// Inference mode of this thread. Storages created in it are never part of a graph and do not count versions.
FLAMBEAU_API bool inference_mode();
FLAMBEAU_API void set_inference_mode(bool enabled);

namespace cuda {
struct StreamHandle;
}

// A block of memory shared by the tensors that view it. The header and the data it owns are one allocation.
class FLAMBEAU_API Storage {
 public:
  static Ref<Storage> create(size_t bytes);  // on the current device of the thread
  // External memory; `deleter(context)` is called when the last view is destroyed.
  static Ref<Storage> wrap(void* data, size_t bytes, void (*deleter)(void*), void* context, bool writable = true,
                           Device device = {});
  // Memory that another process shares through a file descriptor (its shared_descriptor()), which is duplicated.
  static Ref<Storage> map_shared(int descriptor, size_t bytes);

  // Changes the size and keeps the common part of the contents. Memory beyond a smaller size stays allocated, for later
  // growth and for tensors that still refer to it.
  void resize(size_t bytes);

  // Moves the contents to shared memory. Child processes see each other's changes, and other processes can map its
  // descriptor. The memory has no name, so the system frees it when the last process that uses it ends.
  void share();
  int shared_descriptor() const;  // -1 if the memory is not shared

  void* data() const {  // the host pointer
    if (FLAMBEAU_UNLIKELY(device_.type != DeviceType::Cpu)) return reach();
    return data_;
  }
  void* device_data() const {  // the device pointer of a CUDA storage
    if (FLAMBEAU_UNLIKELY(!__atomic_load_n(&on_device_, __ATOMIC_ACQUIRE))) move_to_device();
    return data_;
  }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool writable() const { return writable_; }
  bool inference() const { return inference_; }                      // true if created in inference mode
  void record_stream(int device, cuda::StreamHandle* stream) const;  // see cuda::record_stream

  // Counts in-place changes; see Note [Versions] in autograd.h.
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.store(version() + 1, std::memory_order_relaxed); }

  void retain() { count_.increase(); }
  void release() {
    if (count_.decrease()) destroy();
  }
  uint32_t use_count() const { return count_.value(); }

 private:
  Storage() = default;
  static Ref<Storage> create_elsewhere(size_t bytes);
  size_t capacity() const;
  [[gnu::cold]] void* reach() const;  // implements data() for a storage on another device
  void allocate_on_device();
  void move_to_device() const;
  void* move_to_host() const;
  void drop_host() const;
  void destroy();
  void destroy_on_device();

  ReferenceCount count_;
  std::atomic<uint32_t> version_{0};
  mutable void* data_ = nullptr;
  size_t bytes_ = 0;
  size_t own_bytes_ = 0;  // size of the data that follows the header
  void (*deleter_)(void*) = nullptr;
  void* context_ = nullptr;
  bool writable_ = true;
  bool inference_ = inference_mode();
  Device device_;
  mutable bool on_device_ = false;  // for a CUDA storage: true if the contents are on the device
  mutable bool on_host_ = false;
  mutable void* host_ = nullptr;
};

}  // namespace flambeau
