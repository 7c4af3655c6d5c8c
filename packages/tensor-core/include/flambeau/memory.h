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
FLAMBEAU_API void deallocate(void* block, size_t bytes) noexcept;  // with the size that was asked for
// Returns cached blocks to the system; other threads return theirs when they next free a small tensor.
FLAMBEAU_API void empty_cache();
FLAMBEAU_API size_t cached_bytes();     // bytes held for reuse
FLAMBEAU_API size_t allocated_bytes();  // bytes in use; those of a small block are rounded up to multiples of 64

// Counts references. The only holder needs no locked instruction to let go: nobody else can come to hold it meanwhile.
class ReferenceCount {
 public:
  void increase() { count_.fetch_add(1, std::memory_order_relaxed); }
  // Whether that was the last one.
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
  static Ref adopt(T* p) {  // takes over the caller's reference
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

// Where memory is.
//
// Note [Devices]
// Fresh memory is made on the device that the thread is set to (OnDevice), which a call from Python with a tensor of
// another device than the CPU among its arguments sets for its duration. So an operator needs no word about devices but
// where it reaches for elements.
//
// A tensor on meta has a shape, strides and a dtype, and no memory: an operator gives the shape and dtype of its
// result, and computes nothing. Where it would reach for elements it returns what it has made; one that has no such
// line raises NotImplementedError, because the pointer of a meta storage is not given out.
//
// A CUDA storage has its memory on a GPU. What an operator has a kernel there for is done there (cuda::takes in
// cuda.h); one that asks for the host's pointer instead gets it: the contents move to the host, and move back when they
// are next needed on the GPU. Note [Two memories] in src/cuda/runtime/storage.cpp
enum class DeviceType : uint8_t { Cpu, Cuda, Meta };
FLAMBEAU_API const char* name(DeviceType type);

struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = 0;  // which GPU; 0 of other types

  constexpr Device() = default;
  constexpr Device(DeviceType type, int index = 0) : type(type), index(int8_t(index)) {}
  friend constexpr bool operator==(Device a, Device b) { return a.type == b.type && a.index == b.index; }
  friend constexpr bool operator==(Device a, DeviceType type) { return a.type == type; }
};
FLAMBEAU_API std::ostream& operator<<(std::ostream& out, Device device);  // cpu, cuda:0, meta

class FLAMBEAU_API OnDevice {  // where this thread makes memory, for a scope
 public:
  // `operation` is what errors call the one that is at work.
  explicit OnDevice(Device device, const char* operation = nullptr);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  static Device current();
  static const char* operation();  // never null

 private:
  Device former_;
  const char* former_operation_;
};
// Told of every storage that is made (1) or gone (-1) elsewhere than on the CPU; null until somebody wants to know.
FLAMBEAU_API extern void (*foreign_storages_changed)(int by);

// Inference mode of this thread: memory made while it is on never takes part in a graph, and counts no changes.
FLAMBEAU_API bool inference_mode();
FLAMBEAU_API void set_inference_mode(bool enabled);

namespace cuda {
struct StreamHandle;
}

// A block of memory shared by the tensors that view it. The header and the data it owns are one allocation.
class FLAMBEAU_API Storage {
 public:
  static Ref<Storage> create(size_t bytes);  // on the device that the thread is set to
  // Memory owned by somebody else; `deleter(context)` runs when the last view is gone.
  static Ref<Storage> wrap(void* data, size_t bytes, void (*deleter)(void*), void* context, bool writable = true,
                           Device device = {});
  // Memory that another process shares through a descriptor (shared_descriptor there); it is duplicated.
  static Ref<Storage> map_shared(int descriptor, size_t bytes);

  // Gives it another size; what lies in both stays. Memory that is no longer needed is kept for the next growth and for
  // tensors that show it still.
  void resize(size_t bytes);

  // Moves the contents to memory that other processes can have, too: children see each other's changes, others map its
  // descriptor. It has no name, so nothing is left of it when the last process that has it ends, however it ends.
  void share();
  int shared_descriptor() const;  // -1: the memory is this process's own

  void* data() const {  // for the host
    if (FLAMBEAU_UNLIKELY(device_.type != DeviceType::Cpu)) return reach();
    return data_;
  }
  void* device_data() const {  // of a CUDA storage: for its GPU
    if (FLAMBEAU_UNLIKELY(!__atomic_load_n(&on_device_, __ATOMIC_ACQUIRE))) move_to_device();
    return data_;
  }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool writable() const { return writable_; }
  bool inference() const { return inference_; }                      // made in inference mode
  void record_stream(int device, cuda::StreamHandle* stream) const;  // cuda::record_stream

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
  [[gnu::cold]] void* reach() const;  // where the storage is not the host's
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
  size_t own_bytes_ = 0;  // behind the header
  void (*deleter_)(void*) = nullptr;
  void* context_ = nullptr;
  bool writable_ = true;
  bool inference_ = inference_mode();
  Device device_;
  mutable bool on_device_ = false;  // of a CUDA storage: where its contents are; on neither side before the first use
  mutable bool on_host_ = false;
  mutable void* host_ = nullptr;
};

}  // namespace flambeau
