#include "flambeau/signature.h"

#include <algorithm>

namespace flambeau {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Removes the part before the first separator outside parentheses, and the separator. Returns the part.
std::string_view next_part(std::string_view& text, char separator) {
  size_t end = 0;
  for (int depth = 0; end < text.size() && (text[end] != separator || depth > 0); ++end)
    depth += (text[end] == '(') - (text[end] == ')');
  const std::string_view part = trimmed(text.substr(0, end));
  text = end < text.size() ? text.substr(end + 1) : "";
  return part;
}

// Parses a parameter of the form name[|name][: annotation][=default].
Signature::Parameter parse_parameter(std::string_view part) {
  Signature::Parameter p;
  std::string_view name = next_part(part, '=');
  p.fallback = trimmed(part);
  if (const size_t colon = name.find(':'); colon != name.npos) {
    p.annotation = trimmed(name.substr(colon + 1));
    name = trimmed(name.substr(0, colon));
  }
  const size_t bar = std::min(name.find('|'), name.size());
  p.also = name.substr(bar);
  p.name = name.substr(0, bar);
  return p;
}

}  // namespace

Signature Signature::parse(std::string_view text) {
  const size_t open = text.find('(');
  Signature out;
  for (std::string_view names = text.substr(0, open); !names.empty();) out.names.push_back(next_part(names, '|'));
  text = text.substr(open + 1, text.rfind(')') - open - 1);
  bool keyword_only = false;
  while (!text.empty()) {
    std::string_view part = next_part(text, ',');
    const bool starred = part.front() == '*';
    if (starred) part.remove_prefix(1);
    if (!part.empty()) {
      out.parameters.push_back(parse_parameter(part));
      out.parameters.back().variadic = starred;
      out.parameters.back().keyword_only = keyword_only;
    }
    keyword_only |= starred;
  }
  return out;
}

}  // namespace flambeau
