// Libraries that are opened at run time, wherever they were installed.
#pragma once

#include <initializer_list>
#include <string>

namespace flambeau::cuda {

// Opens the first that there is: the one that the environment variable names, then each name in the folders of NVIDIA's
// wheels beside this library, where the system looks, and in a toolkit. Null where there is none; `tried` then says
// what was looked for.
void* open_library(const char* variable, std::initializer_list<const char*> names, std::string& tried);
// A symbol of it, or null.
void* find_symbol(void* library, const char* name);
// The folder of the installed headers.
const std::string& include_folder();

}  // namespace flambeau::cuda
