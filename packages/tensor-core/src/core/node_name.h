// Names of pointwise operators in the autograd graph.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace flambeau {

// Converts left_shift to LeftShift. The names of nodes have this form.
inline const char* node_name(std::string_view name) {
  std::string out;
  bool upper = true;
  for (char ch : name) {
    if (ch == '_')
      upper = true;
    else
      out += std::exchange(upper, false) && ch >= 'a' && ch <= 'z' ? char(ch - 'a' + 'A') : ch;
  }
  return (new std::string(out))->c_str();  // never freed, like the table of operators
}

}  // namespace flambeau
