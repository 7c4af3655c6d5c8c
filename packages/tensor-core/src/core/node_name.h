// The names of rows in the graph. Internal.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace flambeau {

// left_shift -> LeftShift, as the nodes of the graph are named.
inline const char* node_name(std::string_view name) {
  std::string out;
  bool upper = true;
  for (char ch : name) {
    if (ch == '_')
      upper = true;
    else
      out += std::exchange(upper, false) && ch >= 'a' && ch <= 'z' ? char(ch - 'a' + 'A') : ch;
  }
  return (new std::string(out))->c_str();  // lives as long as the table of rows
}

}  // namespace flambeau
