// Exceptions of the library. The Python layer maps each exception to the built-in exception of the same name.
#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "flambeau/macros.h"

namespace flambeau {

class FLAMBEAU_API Error : public std::exception {  // RuntimeError
 public:
  explicit Error(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  // Appends text to the message, such as the location of the error in a program. Rethrow with `throw;` to keep the
  // class.
  void append(std::string_view text) { text_ += text; }

 private:
  std::string text_;
};
class FLAMBEAU_API TypeError : public Error {
 public:
  using Error::Error;
};
class FLAMBEAU_API ValueError : public Error {
 public:
  using Error::Error;
};
class FLAMBEAU_API IndexError : public Error {
 public:
  using Error::Error;
};
// A GPU does not have enough memory. Python raises flambeau.OutOfMemoryError, a subclass of RuntimeError.
class FLAMBEAU_API OutOfMemoryError : public Error {
 public:
  using Error::Error;
};
class FLAMBEAU_API HostMemoryError : public Error {  // RuntimeError, as PyTorch raises for the CPU
 public:
  using Error::Error;
};
class FLAMBEAU_API NotImplementedError : public Error {
 public:
  using Error::Error;
};

namespace detail {
template <class E, class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void raise(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw E(text.str());
}
}  // namespace detail

// require<ValueError>(condition, "message ", values...): throws the named exception unless the condition holds.
template <class E = Error, class... Parts>
inline void require(bool condition, const Parts&... parts) {
  if (FLAMBEAU_UNLIKELY(!condition)) detail::raise<E>(parts...);
}

}  // namespace flambeau
