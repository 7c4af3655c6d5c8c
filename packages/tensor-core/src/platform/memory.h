// Memory from the operating system.
#pragma once

#include <cstddef>

namespace flambeau::platform {

// Maps at least `bytes` bytes of zeroed memory at an address that is a multiple of `alignment`. Returns null if there
// is not enough memory.
void* map_pages(size_t bytes, size_t alignment);
// Returns mapped memory to the system: a complete mapping, or the pages at its start or end.
void unmap_pages(void* block, size_t bytes);
// Requests that the system use large pages for this memory, if it supports them.
void prefer_huge_pages(void* block, size_t bytes);

// Makes the C library keep freed blocks of medium size instead of returning them to the system each time.
void keep_freed_memory();

// Creates an unnamed file that processes can map to share memory. It exists until the last process closes its
// descriptor. The pages are allocated immediately if the system can do so, because a lack of memory would end the
// process later. Returns the descriptor or, on failure, -1, with the function that failed in `failed` and its error in
// errno.
int create_shared_file(size_t bytes, const char*& failed);

}  // namespace flambeau::platform
