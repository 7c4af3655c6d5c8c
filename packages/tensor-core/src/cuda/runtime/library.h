// Loading of libraries at run time.
#pragma once

#include <string>
#include <vector>

namespace flambeau::cuda {

// Opens a library. If the environment variable `variable` is set, its value is the path. Otherwise each name is
// searched for in the folders of NVIDIA's wheels next to this library, in CUDA toolkits, and on the system's search
// path. Returns null if no library is found; `tried` then lists the names.
void* open_library(const char* variable, const std::vector<const char*>& names, std::string& tried);
// Returns both names of a CUDA library. The name for the driver's generation is first, because a driver may reject the
// output of a later compiler.
std::vector<const char*> by_generation(const char* of_13, const char* of_12);
// Returns a symbol of the library, or null.
void* find_symbol(void* library, const char* name);
// Returns the folder of the installed headers.
const std::string& include_folder();
// Returns the parent of the folder `device` with the kernels.
const std::string& kernel_folder();

// A library and the functions of the library that are used. A derived structure has a member for each function.
class OpenedLibrary {
 public:
  bool complete;      // true if the library was found and has all functions
  std::string tried;  // if the library was not found: the names that were searched for

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
// Use these macros with a list X(name, (parameters)) of functions that return a status. The first macro declares a
// member for each function, and the second finds the address of the function.
#define FLAMBEAU_DECLARE_FUNCTION(name, parameters) int(*name) parameters;
#define FLAMBEAU_FIND_FUNCTION(name, parameters) find(#name, name);

}  // namespace flambeau::cuda
