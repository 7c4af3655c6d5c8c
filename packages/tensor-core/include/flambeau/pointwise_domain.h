// The dtypes that a pointwise operator supports, and their promotion. Note [Pointwise table] in pointwise.def
#pragma once

#include <cstdint>

namespace flambeau {

// `kept`: the operator computes in the dtype to which its operands promote.
enum class Domain : uint8_t {
  Floating,    // integers and booleans are converted to the default floating dtype
  Real,        // floating dtypes, and complex dtypes with a kernel, are kept; others are rejected
  Number,      // every dtype except bool, kept
  Any,         // every dtype, kept
  Integral,    // bool and the integers, kept
  Whole,       // the integers, kept
  Comparison,  // every dtype in, bool out
  Logical,     // every dtype in, bool out; the operands need not promote
  Select,      // the first operand is a condition; the others promote and keep their dtype
};

}  // namespace flambeau
