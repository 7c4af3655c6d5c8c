#include "platform/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace flambeau::platform {

namespace {

size_t page_bytes() {
  static const size_t bytes = size_t(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

void* map_pages(size_t bytes, size_t alignment) {
  const size_t page = page_bytes();
  bytes = (bytes + page - 1) / page * page;
  const size_t spare = alignment > page ? alignment : 0;
  // Does not use MAP_NORESERVE, so that Linux rejects a size that exceeds its memory instead of ending the process
  // later.
  void* const mapped = mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (!spare) return mapped;
  char* const first = static_cast<char*>(mapped);
  const size_t before = (alignment - reinterpret_cast<size_t>(first) % alignment) % alignment;
  if (before) munmap(first, before);
  munmap(first + before + bytes, spare - before);
  return first + before;
}

void unmap_pages(void* block, size_t bytes) {
  // munmap fails if the process would have too many mappings. Then only the pages are released.
  if (munmap(block, bytes) != 0) madvise(block, bytes, MADV_DONTNEED);
}

void prefer_huge_pages([[maybe_unused]] void* block, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(block, bytes, MADV_HUGEPAGE);
#endif
}

void keep_freed_memory() {
#ifdef __GLIBC__
  // malloc returns free memory at the end of its heap to the system if it exceeds 128 KiB. When a program frees a
  // mapped block of at most 32 MiB, glibc raises this limit to twice the size of the block. Therefore such a block is
  // allocated and freed here. This makes NumPy's arrays faster (measured: 23,000 page faults in an epoch over 48 kB
  // arrays without it, none with it). The block is never accessed, so it takes no physical memory.
  constexpr size_t kMaxMapped = size_t(32) << 20;  // size of the largest block that raises the limit
  void* volatile block = std::malloc(kMaxMapped - 4096 * 4);
  std::free(block);
#endif
}

}  // namespace flambeau::platform
