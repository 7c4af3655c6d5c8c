#include "flambeau/errors.h"

namespace flambeau::detail {

std::string message_of(const MessagePart* parts, size_t count) {
  std::ostringstream text;
  for (size_t i = 0; i < count; ++i) parts[i].write(text, parts[i].value);
  return text.str();
}

}  // namespace flambeau::detail
