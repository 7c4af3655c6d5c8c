// Which rows have kernels over elements of one or two bytes.
//
// Note [Narrow kernels]
// Elements of one or two bytes are computed with as they lie in memory where converting them would cost more than the
// computation. Integers: the result modulo 2**n is the same, and numbers among the operands are given so only where
// they fit. Half precision: in float32, a vector of elements at a time, which stays in registers between the
// conversions.
#pragma once

#include <initializer_list>

#include "flambeau/kernels/row_traits.h"

namespace flambeau {

template <class Row>
inline constexpr bool gives_mask = Row::kDomain == Domain::Comparison || Row::kDomain == Domain::Logical;

// Whether an expression names nothing but these.
constexpr bool names_only(std::string_view expression, std::initializer_list<std::string_view> allowed) {
  for (size_t at = 0, end = 0; at < expression.size(); at = end + (end == at)) {
    for (end = at; end < expression.size() && (is_identifier(expression[end]) || expression[end] == '.');) ++end;
    const std::string_view word = expression.substr(at, end - at);
    bool found = word.empty() || (word[0] >= '0' && word[0] <= '9');
    for (const std::string_view name : allowed) found |= word == name;
    if (!found) return false;
  }
  return true;
}
// Whether it depends on which of two numbers is the larger: what does not is the same for integers of either sign.
constexpr bool compares(std::string_view expression) {
  if (!names_only(expression, {"x", "y", "z", "c", "V", "where"})) return true;
  for (size_t at = expression.find_first_of("<>"); at != expression.npos; at = expression.find_first_of("<>", at + 1)) {
    const size_t start = at - (expression[at] == '<' ? 1 : 3);
    if (start > at || expression.substr(start, 4) != "c<V>") return true;
  }
  return false;
}

// Whether it is the same of integers modulo 2**n.
template <class Row>
constexpr bool is_modular() {
  return names_only(Row::value_text(), {"x", "y", "z"}) &&
         Row::value_text().find_first_of("<>=!/") == std::string_view::npos;
}

template <class Row>
constexpr bool takes_narrow_integers() {
  for (const char* name : {"floor_divide", "_trunc_divide", "remainder", "fmod", "gcd", "lcm"})
    if (names(Row::value_text(), name)) return false;
  return true;
}
template <class Row>
constexpr bool takes_booleans() {
  return Row::kDomain != Domain::Number && Row::kDomain != Domain::Whole;
}
template <class Row>
constexpr bool takes_halves() {
  return names_only(Row::value_text(), {"x",         "y",     "z",        "c",     "V",        "where", "maximum",
                                        "abs",       "sign",  "minimum",  "sgn",   "floor",    "ceil",  "trunc",
                                        "round",     "isinf", "copysign", "angle", "isfinite", "sqrt",  "_trunc_divide",
                                        "below_half"});
}

}  // namespace flambeau
