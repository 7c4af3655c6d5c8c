// The caching allocator and storages.
#include "flambeau/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <ostream>

#include "flambeau/errors.h"

namespace flambeau {

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kReuse = false;  // so that the sanitizer sees the end of each block, and its life's
#else
constexpr bool kReuse = true;
#endif
constexpr size_t kAlignment = 64;
constexpr size_t kSmallLimit = 4096;  // up to here: free lists of each thread, in steps of 64 bytes
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kCacheLimit = size_t(1) << 30;  // bytes kept for reuse before large blocks go back to the system
constexpr int kLargeClasses = 4 * 64;            // four sizes for each power of two

std::atomic<size_t> cached{0};

struct FreeBlock {
  FreeBlock* next;
};

void* system_allocate(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#ifdef MADV_HUGEPAGE
  if (block && bytes >= kHugePage) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

// Bytes taken less bytes given back by one thread (others may have taken them): the sum of all counters tells. Written
// by its owner alone, without a locked instruction; the next thread takes it over with what it counted.
struct Counter {
  std::atomic<size_t> bytes{0};
  std::atomic<bool> owned{true};
  Counter* next = nullptr;
};
std::atomic<Counter*> counters{nullptr};
std::atomic<size_t> uncounted{0};  // by threads that are about to end

Counter* take_counter() {
  for (Counter* c = counters; c; c = c->next)
    if (!c->owned.exchange(true)) return c;
  Counter* made = new Counter;
  made->next = counters;
  while (!counters.compare_exchange_weak(made->next, made)) {
  }
  return made;
}

// Free lists of one thread. Trivially destructible, so that it may be used while the thread's other objects die.
struct SmallCache {
  FreeBlock* lists[kSmallLimit / kAlignment + 1];
  Counter* counter;
  bool closed;
};
thread_local SmallCache small_cache __attribute__((tls_model("initial-exec")));

struct SmallCacheCloser {
  ~SmallCacheCloser() {
    small_cache.closed = true;
    std::exchange(small_cache.counter, nullptr)->owned = false;
    for (FreeBlock*& list : small_cache.lists)
      while (list) {
        FreeBlock* next = list->next;
        std::free(list);
        list = next;
      }
  }
};

[[gnu::noinline]] void register_thread() {
  small_cache.counter = take_counter();
  static thread_local SmallCacheCloser closer;
  (void)closer;
}

void count(size_t bytes) {  // modulo 2**64: minus what is given back
  if (FLAMBEAU_UNLIKELY(!small_cache.counter)) {
    if (small_cache.closed) {
      uncounted += bytes;
      return;
    }
    register_thread();
  }
  std::atomic<size_t>& total = small_cache.counter->bytes;
  total.store(total.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

struct LargeCache {
  std::mutex mutex;
  FreeBlock* lists[kLargeClasses] = {};
};
LargeCache& large_cache() {
  static LargeCache* cache = new LargeCache;  // never destroyed: blocks may be given back during exit
  return *cache;
}

struct SizeClass {
  int index;
  size_t bytes;
};
SizeClass large_class(size_t bytes) {
  const int log = 63 - __builtin_clzll(bytes);
  const size_t quarter = size_t(1) << (log - 2);
  const size_t rounded = (bytes + quarter - 1) / quarter * quarter;
  const int exact_log = 63 - __builtin_clzll(rounded);
  return {exact_log * 4 + int(rounded >> (exact_log - 2) & 3), rounded};
}

void* allocate_large(size_t bytes) {
  require<Error>(bytes <= size_t(1) << 60, "out of memory: tried to allocate ", bytes, " bytes");
  const SizeClass size = large_class(bytes);
  LargeCache& cache = large_cache();
  {
    std::lock_guard lock(cache.mutex);
    if (FreeBlock* block = cache.lists[size.index]) {
      cache.lists[size.index] = block->next;
      cached -= size.bytes;
      return block;
    }
  }
  void* block = system_allocate(size.bytes);
  if (!block) {
    empty_cache();
    block = system_allocate(size.bytes);
  }
  require<Error>(block, "out of memory: tried to allocate ", bytes, " bytes");
  return block;
}

}  // namespace

void* allocate(size_t bytes) {
  if constexpr (!kReuse) {
    void* exact = nullptr;
    require<Error>(posix_memalign(&exact, kAlignment, bytes) == 0, "out of memory: tried to allocate ", bytes,
                   " bytes");
    count(bytes);
    return exact;
  }
  if (bytes > kSmallLimit) {
    void* block = allocate_large(bytes);
    count(bytes);
    return block;
  }
  count(bytes);
  const size_t slot = (bytes + kAlignment - 1) / kAlignment;
  if (FreeBlock* block = small_cache.lists[slot]) {
    small_cache.lists[slot] = block->next;
    return block;
  }
  void* block = std::aligned_alloc(kAlignment, slot ? slot * kAlignment : kAlignment);
  if (!block) {
    count(size_t(0) - bytes);
    throw std::bad_alloc();
  }
  return block;
}

void deallocate(void* pointer, size_t bytes) noexcept {
  count(size_t(0) - bytes);
  FreeBlock* block = static_cast<FreeBlock*>(pointer);
  if constexpr (!kReuse) return std::free(block);
  if (bytes <= kSmallLimit) {
    if (FLAMBEAU_UNLIKELY(small_cache.closed)) return std::free(block);
    FreeBlock*& list = small_cache.lists[(bytes + kAlignment - 1) / kAlignment];
    block->next = list;
    list = block;
    return;
  }
  const SizeClass size = large_class(bytes);
  if (cached + size.bytes > kCacheLimit) return std::free(block);
  LargeCache& cache = large_cache();
  std::lock_guard lock(cache.mutex);
  block->next = cache.lists[size.index];
  cache.lists[size.index] = block;
  cached += size.bytes;
}

void empty_cache() {
  LargeCache& cache = large_cache();
  std::lock_guard lock(cache.mutex);
  for (FreeBlock*& list : cache.lists)
    while (list) {
      FreeBlock* next = list->next;
      std::free(list);
      list = next;
    }
  cached = 0;
}

size_t cached_bytes() { return cached; }
size_t allocated_bytes() {
  size_t total = uncounted;
  for (const Counter* c = counters; c; c = c->next) total += c->bytes.load(std::memory_order_relaxed);
  return total;
}

namespace {
thread_local bool inference __attribute__((tls_model("initial-exec"))) = false;
}  // namespace
bool inference_mode() { return inference; }
void set_inference_mode(bool enabled) { inference = enabled; }

namespace {
constexpr size_t kHeader = 64;  // the storage object, before the data it owns
}

// Note [Devices]
namespace {
thread_local Device device_of_thread __attribute__((tls_model("initial-exec")));
thread_local const char* operation_of_thread = nullptr;
}  // namespace
void (*foreign_storages_changed)(int by) = nullptr;

const char* name(DeviceType type) {
  return type == DeviceType::Cpu ? "cpu" : type == DeviceType::Cuda ? "cuda" : "meta";
}
std::ostream& operator<<(std::ostream& out, Device device) {
  out << name(device.type);
  return device == DeviceType::Cuda ? out << ':' << int(device.index) : out;
}

OnDevice::OnDevice(Device device, const char* operation)
    : former_(std::exchange(device_of_thread, device)), former_operation_(operation_of_thread) {
  if (operation && !former_operation_) operation_of_thread = operation;
}
OnDevice::~OnDevice() {
  device_of_thread = former_;
  operation_of_thread = former_operation_;
}
Device OnDevice::current() { return device_of_thread; }
const char* OnDevice::operation() { return operation_of_thread ? operation_of_thread : "an operator"; }

Ref<Storage> Storage::create_elsewhere(size_t bytes) {
  Storage* storage = new (allocate(kHeader)) Storage;
  Ref<Storage> made = Ref<Storage>::adopt(storage);
  storage->bytes_ = bytes;
  storage->device_ = device_of_thread;
  if (foreign_storages_changed) foreign_storages_changed(1);
  if (storage->device_ == DeviceType::Cuda) storage->allocate_on_device();
  return made;
}

void* Storage::reach() const {
  if (device_ == DeviceType::Cuda) return move_to_host();
  detail::raise<NotImplementedError>(OnDevice::operation(),
                                     ": needs the values of a tensor on the meta device, which has none, only a shape "
                                     "and a dtype");
}

Ref<Storage> Storage::create(size_t bytes) {
  static_assert(sizeof(Storage) <= kHeader);
  if (FLAMBEAU_UNLIKELY(device_of_thread.type != DeviceType::Cpu)) return create_elsewhere(bytes);
  Storage* storage = new (allocate(kHeader + bytes)) Storage;
  storage->data_ = reinterpret_cast<char*>(storage) + kHeader;
  storage->bytes_ = storage->own_bytes_ = bytes;
  return Ref<Storage>::adopt(storage);
}

Ref<Storage> Storage::wrap(void* data, size_t bytes, void (*deleter)(void*), void* context, bool writable,
                           Device device) {
  Storage* storage = new (allocate(kHeader)) Storage;
  storage->data_ = data;
  storage->bytes_ = bytes;
  storage->deleter_ = deleter;
  storage->context_ = context;
  storage->writable_ = writable;
  storage->device_ = device;
  storage->on_device_ = device == DeviceType::Cuda;
  if (device.type != DeviceType::Cpu && foreign_storages_changed) foreign_storages_changed(1);
  return Ref<Storage>::adopt(storage);
}

void Storage::destroy() {
  if (FLAMBEAU_UNLIKELY(device_.type != DeviceType::Cpu)) {
    if (device_ == DeviceType::Cuda) destroy_on_device();
    if (foreign_storages_changed) foreign_storages_changed(-1);
  }
  if (deleter_) deleter_(context_);
  const size_t size = kHeader + own_bytes_;
  this->~Storage();
  deallocate(this, size);
}

}  // namespace flambeau
