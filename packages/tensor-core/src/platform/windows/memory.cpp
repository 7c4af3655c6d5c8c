#include "platform/memory.h"

#include <windows.h>

#include <cstdint>

namespace flambeau::platform {

namespace {

constexpr size_t kGranularity = size_t(64) << 10;  // Windows maps memory at multiples of 64 KiB

void* map(void* address, size_t bytes, DWORD how) { return VirtualAlloc(address, bytes, how, PAGE_READWRITE); }

}  // namespace

// Windows cannot unmap a part of a mapping. To align one, a larger range of addresses is reserved, released, and mapped
// again from the aligned address. This fails if another thread has mapped memory there in between.
void* map_pages(size_t bytes, size_t alignment) {
  constexpr DWORD kMap = MEM_RESERVE | MEM_COMMIT;
  if (alignment <= kGranularity) return map(nullptr, bytes, kMap);
  constexpr int kTrials = 100;
  for (int i = 0; i < kTrials; ++i) {
    void* const reserved = map(nullptr, bytes + alignment, MEM_RESERVE);
    if (!reserved) return nullptr;
    VirtualFree(reserved, 0, MEM_RELEASE);
    const uintptr_t aligned = (reinterpret_cast<uintptr_t>(reserved) + alignment - 1) / alignment * alignment;
    if (void* const mapped = map(reinterpret_cast<void*>(aligned), bytes, kMap)) return mapped;
    if (GetLastError() == ERROR_COMMITMENT_LIMIT) return nullptr;
  }
  return nullptr;
}

void unmap_pages(void* block, size_t) { VirtualFree(block, 0, MEM_RELEASE); }

void prefer_huge_pages(void*, size_t) {}

void keep_freed_memory() {}

}  // namespace flambeau::platform
