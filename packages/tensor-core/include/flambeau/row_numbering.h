// Which number each pointwise operator has, as one number to compare.
#pragma once

#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau {

// Pointwise operators are numbered by their rows: what was compiled with other rows would call other operators.
constexpr uint64_t row_numbering() {
  const char* const names =
#define UNARY(name, ...) #name " "
#define BINARY(name, ...) #name " "
#define TERNARY(name, ...) #name " "
#include "flambeau/pointwise.def"
      "";
  uint64_t number = 14695981039346656037ull;
  for (const char* c = names; *c; ++c) number = (number ^ uint64_t(*c)) * 1099511628211ull;
  return number;
}
FLAMBEAU_API uint64_t library_row_numbering();

}  // namespace flambeau
