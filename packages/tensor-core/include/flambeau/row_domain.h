// Which dtypes a pointwise operator takes and how they promote. Note [Rows] in pointwise.def
#pragma once

#include <cstdint>

namespace flambeau {

enum class Domain : uint8_t {
  Floating,    // integers and booleans are taken to the default floating dtype
  Real,        // floating dtypes, and complex ones if they have a kernel, are kept; others are rejected
  Number,      // every dtype but bool, kept
  Any,         // every dtype, kept
  Integral,    // bool and the integers, kept
  Whole,       // the integers, kept
  Comparison,  // every dtype in, bool out
  Logical,     // every dtype in, bool out; the operands need not promote
  Select,      // the first operand is a condition; the others promote and keep their dtype
};

}  // namespace flambeau
