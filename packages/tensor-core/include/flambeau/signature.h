// Parsing of an operator's signature.
#pragma once

#include <string_view>
#include <vector>

#include "flambeau/macros.h"

namespace flambeau {

struct Signature {
  struct Parameter {
    std::string_view name;
    std::string_view also;        // other names, each with a bar before it: "|sections|indices"
    std::string_view annotation;  // the type that follows the name, or empty
    std::string_view fallback;    // the default as a Python expression; empty if the parameter is required
    bool keyword_only = false, variadic = false;
    bool may_be_none() const { return fallback == "None" || annotation.find("None") != annotation.npos; }
  };
  std::vector<std::string_view> names;  // the operator's name and its aliases
  std::vector<Parameter> parameters;

  // The views refer to `text`.
  FLAMBEAU_API static Signature parse(std::string_view text);
};

}  // namespace flambeau
