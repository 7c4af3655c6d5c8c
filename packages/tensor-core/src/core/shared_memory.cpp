// Memory that processes share. It belongs to an unnamed file, which exists until the last process closes it.
#include <cstring>
#include <memory>
#include <string>

#include "flambeau/errors.h"
#include "flambeau/memory.h"
#include "platform/shared_file.h"

namespace flambeau {

namespace {

struct SharedBlock {
  int descriptor = -1;
  void* data = nullptr;
  size_t bytes = 0;
  // The previous memory of the storage. Pointers to it may exist, so it is freed together with the storage.
  void (*earlier_deleter)(void*) = nullptr;
  void* earlier_context = nullptr;

  ~SharedBlock() {
    if (data) platform::unmap_shared_file(data, bytes);
    if (descriptor >= 0) platform::close_shared_file(descriptor);
    if (earlier_deleter) earlier_deleter(earlier_context);
  }
};

void drop_block(void* context) { delete static_cast<SharedBlock*>(context); }

[[noreturn]] void fail(const char* what, size_t bytes) {
  const std::string error = platform::shared_file_error();  // before another call of the system changes it
  detail::raise<Error>("shared memory of ", bytes, " bytes: ", what, " failed: ", error);
}

void map(SharedBlock& block, size_t bytes) {
  block.bytes = bytes ? bytes : 1;
  block.data = platform::map_shared_file(block.descriptor, block.bytes);
  if (!block.data) fail("mapping", bytes);
}

}  // namespace

void Storage::share() {
  if (shared_descriptor() >= 0) return;
  require<NotImplementedError>(device_ == DeviceType::Cpu, "share_memory_(): the memory of a tensor on ", device_,
                               " cannot be shared with other processes; move it to the CPU first");
  auto block = std::make_unique<SharedBlock>();
  const char* failed;
  block->descriptor = platform::create_shared_file(bytes_ ? bytes_ : 1, failed);
  if (block->descriptor < 0) fail(failed, bytes_);
  map(*block, bytes_);
  if (bytes_) std::memcpy(block->data, data_, bytes_);
  block->earlier_deleter = deleter_;
  block->earlier_context = context_;
  data_ = block->data;
  deleter_ = drop_block;
  context_ = block.release();
}

int Storage::shared_descriptor() const {
  return deleter_ == drop_block ? static_cast<SharedBlock*>(context_)->descriptor : -1;
}

Ref<Storage> Storage::map_shared(int descriptor, size_t bytes) {
  const int64_t existing = platform::shared_file_size(descriptor);
  if (existing < 0) fail("reading its size", bytes);
  require(size_t(existing) >= bytes, "shared memory of ", bytes,
          " bytes: the number of bytes behind the file descriptor is only ", existing);
  auto block = std::make_unique<SharedBlock>();
  block->descriptor = platform::duplicate_shared_file(descriptor);
  if (block->descriptor < 0) fail("duplicating the file descriptor", bytes);
  map(*block, bytes);
  void* data = block->data;
  return wrap(data, bytes, drop_block, block.release());
}

}  // namespace flambeau
