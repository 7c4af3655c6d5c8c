// Memory from the operating system.
#pragma once

#include <cstddef>

namespace flambeau::platform {

// Maps at least `bytes` bytes of zeroed memory at an address that is a multiple of `alignment`. Returns null if there
// is not enough memory.
void* map_pages(size_t bytes, size_t alignment);
// Returns mapped memory to the system: a complete mapping.
void unmap_pages(void* block, size_t bytes);
// Requests that the system use large pages for this memory, if it supports them.
void prefer_huge_pages(void* block, size_t bytes);

// Makes the C library keep freed blocks of medium size instead of returning them to the system each time.
void keep_freed_memory();

}  // namespace flambeau::platform
