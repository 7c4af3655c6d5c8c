// Libraries that are opened at run time, wherever they were installed.
#pragma once

#include <string>
#include <vector>

namespace flambeau::cuda {

// Opens the first library that exists: the one that the environment variable names, else each name in the folders of
// NVIDIA's wheels next to this library, on the system's search path, and in a CUDA toolkit. Returns null if none
// exists; `tried` then lists the names.
void* open_library(const char* variable, const std::vector<const char*>& names, std::string& tried);
// The names of a library of CUDA, that of the driver's generation first: a driver may reject what a later one gives it.
std::vector<const char*> by_generation(const char* of_13, const char* of_12);
// A symbol of it, or null.
void* find_symbol(void* library, const char* name);
// The folder of the installed headers.
const std::string& include_folder();
const std::string& kernel_folder();  // the sources of the GPU's kernels: its folder `device`

// A library and those of its functions that are used: a structure with each as a member derives from it.
class OpenedLibrary {
 public:
  bool complete;      // it is there, and has all of them
  std::string tried;  // where it is not: what was looked for

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
// The only instance of a library, opened when it is first asked for and never closed.
template <class Library>
const Library& the_library() {
  static const Library* once = new Library;
  return *once;
}
// Functions that return a status are a list of X(name, (parameters)): their declarations as members, and their places.
#define FLAMBEAU_DECLARE_FUNCTION(name, parameters) int(*name) parameters;
#define FLAMBEAU_FIND_FUNCTION(name, parameters) find(#name, name);

}  // namespace flambeau::cuda
