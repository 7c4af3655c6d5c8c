// Reference counting, the caching allocator and storages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "flambeau/macros.h"

namespace flambeau {

// Cached, 64-byte aligned host memory. A block is given back with the size it was asked for.
FLAMBEAU_API void* allocate(size_t bytes);
FLAMBEAU_API void deallocate(void* block, size_t bytes) noexcept;
FLAMBEAU_API void empty_cache();        // returns cached blocks to the system
FLAMBEAU_API size_t cached_bytes();     // bytes held for reuse
FLAMBEAU_API size_t allocated_bytes();  // bytes in use

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
  Ref(const Ref<U>& o) : Ref(static_cast<T*>(o.get())) {}
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
// Note [Meta]
// A tensor on the meta device has a shape, strides and a dtype, and no memory: an operator gives the shape and dtype of
// its result, and computes nothing. Fresh memory is made on the device that the thread is set to (OnDevice), which a
// call from Python with a meta tensor among its arguments sets for its duration; so an operator needs no word about it
// but where it reaches for elements: there it returns what it has made if that is on meta. One that has no such line
// raises NotImplementedError, because the pointer of a meta storage is not given out.
enum class DeviceType : uint8_t { Cpu, Meta };
FLAMBEAU_API const char* name(DeviceType device);

class FLAMBEAU_API OnDevice {  // where this thread makes memory, for a scope
 public:
  // `operation` is what an error calls the one that reached for elements of a meta tensor.
  explicit OnDevice(DeviceType device, const char* operation = nullptr);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  static DeviceType current();

 private:
  DeviceType former_;
  const char* former_operation_;
};
// Told of every meta storage that is made (1) or gone (-1); null until somebody wants to know.
FLAMBEAU_API extern void (*meta_storages_changed)(int by);

// Inference mode of this thread: memory made while it is on never takes part in a graph, and counts no changes.
FLAMBEAU_API bool inference_mode();
FLAMBEAU_API void set_inference_mode(bool enabled);

// A block of memory shared by the tensors that view it. The header and the data it owns are one allocation.
class FLAMBEAU_API Storage {
 public:
  static Ref<Storage> create(size_t bytes);  // on the device that the thread is set to
  // Memory owned by somebody else; `deleter(context)` runs when the last view is gone.
  static Ref<Storage> wrap(void* data, size_t bytes, void (*deleter)(void*), void* context, bool writable = true);
  // Memory that another process shares through a descriptor (shared_descriptor there); it is duplicated.
  static Ref<Storage> map_shared(int descriptor, size_t bytes);

  // Moves the contents to memory that other processes can have, too: children see each other's changes, others map its
  // descriptor. It has no name, so nothing is left of it when the last process that has it ends, however it ends.
  void share();
  int shared_descriptor() const;  // -1: the memory is this process's own

  void* data() const {
    if (FLAMBEAU_UNLIKELY(device_ != DeviceType::Cpu)) refuse_access();
    return data_;
  }
  size_t bytes() const { return bytes_; }
  DeviceType device() const { return device_; }
  bool writable() const { return writable_; }
  bool inference() const { return inference_; }  // made in inference mode
  // Counts in-place changes; see Note [Versions] in autograd.h.
  uint32_t version() const { return version_; }
  void bump_version() { ++version_; }

  void retain() { count_.increase(); }
  void release() {
    if (count_.decrease()) destroy();
  }
  uint32_t use_count() const { return count_.value(); }

 private:
  Storage() = default;
  static Ref<Storage> create_meta(size_t bytes);
  [[noreturn, gnu::cold]] static void refuse_access();
  void destroy();

  ReferenceCount count_;
  uint32_t version_ = 0;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  size_t own_bytes_ = 0;  // behind the header
  void (*deleter_)(void*) = nullptr;
  void* context_ = nullptr;
  bool writable_ = true;
  bool inference_ = inference_mode();
  DeviceType device_ = DeviceType::Cpu;
};

}  // namespace flambeau
