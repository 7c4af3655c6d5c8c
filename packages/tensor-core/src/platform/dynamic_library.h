// Libraries that are loaded at run time.
#pragma once

#include <string>

namespace flambeau::platform {

enum class Visibility { Private, Global };  // Global: libraries that are loaded later can use the symbols

// Opens a library. `path` is a path or, without a folder, a name on the system's search path. Returns null on failure.
void* open_library(const std::string& path, Visibility visibility = Visibility::Private);
// Returns a symbol of an open library, or null.
void* find_symbol(void* library, const char* name);
// Returns the path of the library that contains a function, or an empty string.
std::string library_of(const void* function);

}  // namespace flambeau::platform
