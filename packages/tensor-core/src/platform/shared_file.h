// Unnamed files in memory, which processes map to share memory. A file exists until the last process closes it. It is
// identified by an integer: a file descriptor or, on Windows, a handle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace flambeau::platform {

// Creates a file. The pages are allocated immediately if the system can do so, because a lack of memory would end the
// process later. On failure, returns -1 and the name of the function that failed in `failed`.
int create_shared_file(size_t bytes, const char*& failed);
// Returns another identifier of the same file, or -1 on failure.
int duplicate_shared_file(int file);
void close_shared_file(int file);
// Returns the size in bytes, on Windows rounded up to complete pages, or -1 on failure.
int64_t shared_file_size(int file);

// Maps the first bytes of a file. Returns null on failure.
void* map_shared_file(int file, size_t bytes);
void unmap_shared_file(void* data, size_t bytes);

// Describes why the last of these functions failed in this thread.
std::string shared_file_error();

}  // namespace flambeau::platform
