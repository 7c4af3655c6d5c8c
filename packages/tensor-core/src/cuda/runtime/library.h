// Libraries that are loaded at run time from any place of installation.
#pragma once

#include <string>
#include <vector>

namespace flambeau::cuda {

// Opens the first library that exists: the one that the environment variable names, else each name in the folders of
// NVIDIA's wheels next to this library, on the system's search path, and in a CUDA toolkit. Returns null if none
// exists; `tried` then lists the names.
void* open_library(const char* variable, const std::vector<const char*>& names, std::string& tried);
// Returns the names of a CUDA library, that of the driver's generation first, because a driver may reject the output of
// a later one.
std::vector<const char*> by_generation(const char* of_13, const char* of_12);
// Returns a symbol of the library, or null.
void* find_symbol(void* library, const char* name);
// Returns the folder of the installed headers.
const std::string& include_folder();
const std::string& kernel_folder();  // returns the folder `device` with the sources of GPU kernels

// A library and its used functions. A derived structure has each function as a member.
class OpenedLibrary {
 public:
  bool complete;      // true if the library exists and has all functions
  std::string tried;  // the names that were searched for, if it does not exist

 protected:
  OpenedLibrary(const char* variable, const std::vector<const char*>& names)
      : opened_(open_library(variable, names, tried)) {
    complete = opened_ != nullptr;
  }
  template <class Function>
  void find(const char* name, Function*& function) {
    function = opened_ ? reinterpret_cast<Function*>(find_symbol(opened_, name)) : nullptr;
    complete &= function != nullptr;
  }

 private:
  void* const opened_;
};
// Returns the only instance of a library, which is loaded at first use and never unloaded.
template <class Library>
const Library& the_library() {
  static const Library* once = new Library;
  return *once;
}
// For lists X(name, (parameters)) of functions that return a status: declare a member for each, and find its address.
#define FLAMBEAU_DECLARE_FUNCTION(name, parameters) int(*name) parameters;
#define FLAMBEAU_FIND_FUNCTION(name, parameters) find(#name, name);

}  // namespace flambeau::cuda
