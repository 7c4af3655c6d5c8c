// What can be read off a row's text at compile time: which names its derivatives use. Note [Rows]
#pragma once

#include <cstdint>
#include <string_view>

#include "flambeau/row_domain.h"

namespace flambeau {

constexpr bool is_identifier(char ch) {
  return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_';
}
// Whether `expression` names `identifier` as a whole word.
constexpr bool names(std::string_view expression, std::string_view identifier) {
  for (size_t at = expression.find(identifier); at != expression.npos; at = expression.find(identifier, at + 1)) {
    const size_t end = at + identifier.size();
    if ((at == 0 || !is_identifier(expression[at - 1])) &&
        (end == expression.size() || !is_identifier(expression[end])))
      return true;
  }
  return false;
}
// Bit i: operand i; bit `arity`: the result.
constexpr uint8_t reads(std::string_view derivative, int arity) {
  constexpr std::string_view operands[] = {"x", "y", "z"};
  uint8_t mask = names(derivative, "result") ? uint8_t(1 << arity) : 0;
  for (int i = 0; i < arity; ++i)
    if (names(derivative, operands[i])) mask |= uint8_t(1 << i);
  return mask;
}
constexpr bool exists(std::string_view derivative) { return derivative != "none"; }
// What a row is, beside its expressions. Here and in functions, since a constant in the row's own struct would become
// one in the memory of a GPU.
template <Domain domain, int arity>
struct RowKind {
  static constexpr Domain kDomain = domain;
  static constexpr int kArity = arity;
};

// Whether bytes are worth a kernel of their own: what is done with masks and images.
template <class Row>
constexpr bool takes_bytes() {
  constexpr bool mask = Row::kDomain == Domain::Comparison || Row::kDomain == Domain::Logical;
  bool of_images = false;
  for (const char* value : {"x + y", "x - y", "x * y", "maximum(x, y)", "minimum(x, y)"})
    of_images |= Row::value_text() == value;
  return Row::kDomain == Domain::Select || Row::kDomain == Domain::Integral ||
         (mask && (Row::kArity == 2 || !names(Row::value_text(), "isinf"))) || of_images;
}

template <class V>
void accepts(V);  // to ask whether an expression gives a V

}  // namespace flambeau
