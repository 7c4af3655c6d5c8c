#include "platform/dynamic_library.h"

#include <windows.h>

namespace flambeau::platform {

// Symbols of a library are never visible to other libraries by name alone.
void* open_library(const std::string& path, Visibility) { return LoadLibraryA(path.c_str()); }

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

std::string library_of(const void* function) {
  HMODULE library = nullptr;
  char path[MAX_PATH];
  constexpr DWORD kByAddress = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!GetModuleHandleExA(kByAddress, static_cast<const char*>(function), &library)) return "";
  const DWORD length = GetModuleFileNameA(library, path, MAX_PATH);
  return length < MAX_PATH ? std::string(path, length) : "";  // a longer path would be cut
}

}  // namespace flambeau::platform
