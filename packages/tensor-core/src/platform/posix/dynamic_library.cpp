#include "platform/dynamic_library.h"

#include <dlfcn.h>

namespace flambeau::platform {

void* open_library(const std::string& path, Visibility visibility) {
  return dlopen(path.c_str(), RTLD_NOW | (visibility == Visibility::Global ? RTLD_GLOBAL : RTLD_LOCAL));
}

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

std::string library_of(const void* function) {
  Dl_info info;
  return dladdr(function, &info) && info.dli_fname ? info.dli_fname : "";
}

}  // namespace flambeau::platform
