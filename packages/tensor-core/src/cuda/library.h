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

// A library's functions, each of which returns a status, are a list of X(name, (parameters)): as members of a
// structure, and as found in the library `opened`, which is `complete` where it has all of them.
#define FLAMBEAU_DECLARE_FUNCTION(name, parameters) int(*name) parameters = nullptr;
#define FLAMBEAU_FIND_FUNCTION(name, parameters)                          \
  name = reinterpret_cast<int(*) parameters>(find_symbol(opened, #name)); \
  complete &= name != nullptr;

}  // namespace flambeau::cuda
