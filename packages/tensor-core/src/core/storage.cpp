// Creation, resizing and destruction of storages, and the current device.
#include "flambeau/kept_values.h"
#include "flambeau/memory.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <ostream>

#include "flambeau/errors.h"
#include "flambeau/interpreter.h"

namespace flambeau {

namespace {
thread_local bool inference FLAMBEAU_INITIAL_EXEC = false;
}  // namespace
bool inference_mode() { return inference; }
void set_inference_mode(bool enabled) { inference = enabled; }

namespace {
constexpr size_t kHeader = 64;  // size of the storage object, which precedes the data
}

// Note [Devices]
namespace {
thread_local Device device_of_thread FLAMBEAU_INITIAL_EXEC;
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
  detail::raise<NotImplementedError>(
      OnDevice::operation(),
      ": requires the values of a tensor on the meta device, which has only a shape and a dtype");
}

Ref<Storage> Storage::create(size_t bytes) {
  static_assert(sizeof(Storage) <= kHeader);
  if (FLAMBEAU_UNLIKELY(device_of_thread.type != DeviceType::Cpu)) return create_elsewhere(bytes);
  Storage* storage = new (allocate(kHeader + bytes)) Storage;
  storage->data_ = reinterpret_cast<char*>(storage) + kHeader;
  storage->bytes_ = storage->own_bytes_ = bytes;
  return Ref<Storage>::adopt(storage);
}

namespace {
std::atomic<uint64_t> uncounted{0};
}

uint64_t uncounted_changes() { return uncounted.load(std::memory_order_relaxed); }
void count_uncounted_change() { uncounted.fetch_add(1, std::memory_order_relaxed); }

void raise_version(Storage& storage, uint32_t version) {
  while (storage.version() < version) storage.bump_version();
}

bool is_private(const Tensor& t) {
  const Storage& storage = t.storage();
  return storage.device() == DeviceType::Cpu && storage.use_count() == 1 && !storage.inference() &&
         storage.data() == reinterpret_cast<const char*>(&storage) + kHeader;
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

namespace {

// The new memory of a storage that has grown, and the deleter of its previous memory, which is freed at the same time.
struct GrownMemory {
  Ref<Storage> memory;
  void (*deleter)(void*);
  void* context;

  static void destroy(void* self) {
    const std::unique_ptr<GrownMemory> grown(static_cast<GrownMemory*>(self));
    if (grown->deleter) grown->deleter(grown->context);
  }
};

}  // namespace

size_t Storage::capacity() const {
  if (deleter_ == GrownMemory::destroy) return static_cast<const GrownMemory*>(context_)->memory->bytes_;
  return std::max(own_bytes_, bytes_);
}

void Storage::resize(size_t bytes) {
  require<NotImplementedError>(device_ == DeviceType::Cpu, "resize_: a storage on ", device_,
                               " cannot be resized; create a new one");
  require(writable_ && shared_descriptor() < 0, "Trying to resize storage that is not resizable");
  if (bytes > capacity()) {
    const OnDevice cpu(DeviceType::Cpu);
    const Ref<Storage> memory = create(bytes);
    std::memcpy(memory->data_, data_, bytes_);
    context_ = new GrownMemory{memory, deleter_, context_};
    deleter_ = GrownMemory::destroy;
    data_ = memory->data_;
  }
  bytes_ = bytes;
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
