#include "platform/shared_file.h"

#include <windows.h>

#include <system_error>

namespace flambeau::platform {

namespace {

// Handles of Windows have 64 bits, of which only the lower 32 bits are used.
HANDLE handle_of(int file) { return reinterpret_cast<HANDLE>(intptr_t(file)); }
int number_of(HANDLE handle) { return handle ? int(reinterpret_cast<intptr_t>(handle)) : -1; }

}  // namespace

int create_shared_file(size_t bytes, const char*& failed) {
  failed = "CreateFileMapping";
  const uint64_t size = bytes;
  return number_of(
      CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, DWORD(size >> 32), DWORD(size), nullptr));
}

int duplicate_shared_file(int file) {
  HANDLE copy = nullptr;
  const HANDLE process = GetCurrentProcess();
  DuplicateHandle(process, handle_of(file), process, &copy, 0, false, DUPLICATE_SAME_ACCESS);
  return number_of(copy);
}

void close_shared_file(int file) { CloseHandle(handle_of(file)); }

int64_t shared_file_size(int file) {
  void* const data = MapViewOfFile(handle_of(file), FILE_MAP_READ, 0, 0, 0);
  if (!data) return -1;
  MEMORY_BASIC_INFORMATION mapping;
  const bool known = VirtualQuery(data, &mapping, sizeof mapping);
  UnmapViewOfFile(data);
  return known ? int64_t(mapping.RegionSize) : -1;
}

void* map_shared_file(int file, size_t bytes) {
  return MapViewOfFile(handle_of(file), FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, bytes);
}

void unmap_shared_file(void* data, size_t) { UnmapViewOfFile(data); }

std::string shared_file_error() { return std::system_category().message(int(GetLastError())); }

}  // namespace flambeau::platform
