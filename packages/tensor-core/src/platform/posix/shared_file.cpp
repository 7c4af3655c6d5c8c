#include "platform/shared_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

namespace flambeau::platform {

namespace {

int open_unnamed(const char*& function) {
#ifdef __linux__
  function = "memfd_create";
  return memfd_create("flambeau", MFD_CLOEXEC);
#else
  function = "shm_open";
  // The file needs its name only until it is open. On macOS, a name has at most 31 characters.
  static std::atomic<unsigned> count{0};
  const std::string name = "/flambeau-" + std::to_string(getpid()) + "-" + std::to_string(count++);
  const int descriptor = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);  // exec closes it
  if (descriptor >= 0) shm_unlink(name.c_str());
  return descriptor;
#endif
}

}  // namespace

int create_shared_file(size_t bytes, const char*& failed) {
  const int descriptor = open_unnamed(failed);
  if (descriptor < 0) return -1;
#ifdef __linux__
  const int error = posix_fallocate(descriptor, 0, off_t(bytes));
  failed = "posix_fallocate";
#else
  const int error = ftruncate(descriptor, off_t(bytes)) == 0 ? 0 : errno;
  failed = "ftruncate";
#endif
  if (!error) return descriptor;
  close(descriptor);
  errno = error;
  return -1;
}

int duplicate_shared_file(int file) { return fcntl(file, F_DUPFD_CLOEXEC, 0); }

void close_shared_file(int file) { close(file); }

int64_t shared_file_size(int file) {
  struct stat status;
  return fstat(file, &status) == 0 ? int64_t(status.st_size) : -1;
}

void* map_shared_file(int file, size_t bytes) {
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return data == MAP_FAILED ? nullptr : data;
}

void unmap_shared_file(void* data, size_t bytes) { munmap(data, bytes); }

std::string shared_file_error() {
  const int error = errno;
  const char* const hint =
      error == EMFILE ? " (each shared storage uses a file descriptor; `ulimit -n` prints the limit per process)" : "";
  return std::string(std::strerror(error)) + hint;
}

}  // namespace flambeau::platform
