// Memory that processes share. It belongs to an unnamed file, which exists until the last process closes it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "flambeau/errors.h"
#include "flambeau/memory.h"
#include "platform/memory.h"

namespace flambeau {

namespace {

struct SharedBlock {
  int descriptor = -1;
  void* data = MAP_FAILED;
  size_t bytes = 0;
  // The previous memory of the storage. Pointers to it may exist, so it is freed together with the storage.
  void (*earlier_deleter)(void*) = nullptr;
  void* earlier_context = nullptr;

  ~SharedBlock() {
    if (data != MAP_FAILED) munmap(data, bytes);
    if (descriptor >= 0) close(descriptor);
    if (earlier_deleter) earlier_deleter(earlier_context);
  }
};

void drop_block(void* context) { delete static_cast<SharedBlock*>(context); }

[[noreturn]] void fail(const char* what, size_t bytes, int error) {
  detail::raise<Error>(
      "shared memory of ", bytes, " bytes: ", what, " failed: ", std::strerror(error),
      error == EMFILE ? " (each shared storage uses a file descriptor; `ulimit -n` prints the limit per process)" : "");
}

void map(SharedBlock& block, size_t bytes) {
  block.bytes = bytes ? bytes : 1;
  block.data = mmap(nullptr, block.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, block.descriptor, 0);
  if (block.data == MAP_FAILED) fail("mmap", bytes, errno);
}

}  // namespace

void Storage::share() {
  if (shared_descriptor() >= 0) return;
  require<NotImplementedError>(device_ == DeviceType::Cpu, "share_memory_(): the memory of a tensor on ", device_,
                               " cannot be shared with other processes; move it to the CPU first");
  auto block = std::make_unique<SharedBlock>();
  const char* failed;
  block->descriptor = platform::create_shared_file(bytes_ ? bytes_ : 1, failed);
  if (block->descriptor < 0) fail(failed, bytes_, errno);
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
  struct stat status;
  if (fstat(descriptor, &status) < 0) fail("fstat", bytes, errno);
  require(status.st_size >= 0 && size_t(status.st_size) >= bytes, "shared memory of ", bytes,
          " bytes: the number of bytes behind the file descriptor is only ", int64_t(status.st_size));
  auto block = std::make_unique<SharedBlock>();
  block->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (block->descriptor < 0) fail("dup", bytes, errno);
  map(*block, bytes);
  void* data = block->data;
  return wrap(data, bytes, drop_block, block.release());
}

}  // namespace flambeau
