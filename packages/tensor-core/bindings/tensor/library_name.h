// The name of the package in reprs and error messages. It is "flambeau" unless a program imports the package under
// another name.
#pragma once

#include <string>
#include <string_view>

namespace flambeau::python {

const char* library_name();
void set_library_name(const std::string& name);
bool imported_as_torch();                               // if true, errors that PyTorch raises must be raised
std::string under_library_name(std::string_view name);  // "torch.dtype" for "flambeau.dtype" under the name torch

}  // namespace flambeau::python
