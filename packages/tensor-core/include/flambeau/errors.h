// Exceptions of the library. The Python layer maps each exception to the built-in exception of the same name.
#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
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
struct MessagePart {
  const void* value;
  void (*write)(std::ostream&, const void* value);
};
FLAMBEAU_API std::string message_of(const MessagePart* parts, size_t count);

template <class T>
void write_part(std::ostream& text, const void* value) {
  text << *static_cast<const T*>(value);
}

template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void throw_error(const MessagePart* parts, size_t count) {
  throw E(message_of(parts, count));
}

template <class E, class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void raise_with(Parts... parts) {
  const MessagePart list[] = {{&parts, &write_part<std::remove_cvref_t<Parts>>}...};
  throw_error<E>(list, sizeof...(Parts));
}

// Literals of all lengths are passed as pointers, so that fewer functions are instantiated.
template <class T>
using Passed = std::conditional_t<std::is_array_v<T> || std::is_arithmetic_v<T>, std::decay_t<const T>, const T&>;

template <class E, class... Parts>
[[noreturn, gnu::always_inline]] inline void raise(const Parts&... parts) {
  raise_with<E, Passed<Parts>...>(parts...);
}
}  // namespace detail

// require<ValueError>(condition, "message ", values...): throws the named exception unless the condition holds.
template <class E = Error, class... Parts>
inline void require(bool condition, const Parts&... parts) {
  if (FLAMBEAU_UNLIKELY(!condition)) detail::raise<E>(parts...);
}

}  // namespace flambeau
