// The name of the package in reprs and error messages: "flambeau" unless a program imports it under another name.
#pragma once

#include <string>
#include <string_view>

namespace flambeau::python {

const char* library_name();
void set_library_name(const std::string& name);
bool imported_as_torch();                               // if true, raise an error where PyTorch does
std::string under_library_name(std::string_view name);  // "torch.dtype" for "flambeau.dtype" under the name torch

}  // namespace flambeau::python
