// Exceptions and checks. In Python, c10::Error becomes RuntimeError, and a derived class becomes the exception of the
// same name.
#pragma once

#include <c10/macros/Macros.h>
#include <flambeau/errors.h>
#include <flambeau/interpreter.h>

namespace c10 {

using Error = ::flambeau::Error;
using IndexError = ::flambeau::IndexError;
using ValueError = ::flambeau::ValueError;
using TypeError = ::flambeau::TypeError;
using NotImplementedError = ::flambeau::NotImplementedError;
using OutOfMemoryError = ::flambeau::OutOfMemoryError;

template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream text;
  (void)(text << ... << parts);
  return text.str();
}

namespace detail {

// Throws the error of a check that has no message.
template <class E>
[[noreturn, gnu::cold]] void fail(const char* condition) {
  ::flambeau::detail::raise<E>("Expected ", condition, " to be true, but got false.  (Could this error message be ",
                               "improved?  If so, please report an enhancement request.)");
}
template <class E, class... Parts>
[[noreturn, gnu::cold]] void fail(const char*, const Parts&... parts) {
  ::flambeau::detail::raise<E>(parts...);
}
[[noreturn, gnu::cold]] inline void fail_internally(const char* condition, const char* file, int line,
                                                    const std::string& message = {}) {
  ::flambeau::detail::raise<Error>(condition, " INTERNAL ASSERT FAILED at \"", file, "\":", line, ". ", message);
}
// Returns the message of a check, which may be empty.
template <class... Parts>
std::string message(const Parts&... parts) {
  return str(parts...);
}

}  // namespace detail
}  // namespace c10

namespace at {
using c10::Error;
using c10::IndexError;
using c10::NotImplementedError;
using c10::TypeError;
using c10::ValueError;
}  // namespace at

#define FLAMBEAU_CHECK(error, condition, ...)                                                   \
  do {                                                                                          \
    if (FLAMBEAU_UNLIKELY(!(condition))) ::c10::detail::fail<error>(#condition, ##__VA_ARGS__); \
  } while (false)

#define TORCH_CHECK(condition, ...) FLAMBEAU_CHECK(::c10::Error, condition, ##__VA_ARGS__)
#define TORCH_CHECK_INDEX(condition, ...) FLAMBEAU_CHECK(::c10::IndexError, condition, ##__VA_ARGS__)
#define TORCH_CHECK_VALUE(condition, ...) FLAMBEAU_CHECK(::c10::ValueError, condition, ##__VA_ARGS__)
#define TORCH_CHECK_TYPE(condition, ...) FLAMBEAU_CHECK(::c10::TypeError, condition, ##__VA_ARGS__)
#define TORCH_CHECK_NOT_IMPLEMENTED(condition, ...) FLAMBEAU_CHECK(::c10::NotImplementedError, condition, ##__VA_ARGS__)
#define TORCH_CHECK_WITH(error, condition, ...) FLAMBEAU_CHECK(::c10::error, condition, ##__VA_ARGS__)
#define TORCH_CHECK_EQ(x, y) TORCH_CHECK((x) == (y), "Check failed: " #x " == " #y " (", (x), " vs. ", (y), ")")
#define TORCH_CHECK_NE(x, y) TORCH_CHECK((x) != (y), "Check failed: " #x " != " #y " (", (x), " vs. ", (y), ")")
#define TORCH_CHECK_LE(x, y) TORCH_CHECK((x) <= (y), "Check failed: " #x " <= " #y " (", (x), " vs. ", (y), ")")
#define TORCH_CHECK_LT(x, y) TORCH_CHECK((x) < (y), "Check failed: " #x " < " #y " (", (x), " vs. ", (y), ")")
#define TORCH_CHECK_GE(x, y) TORCH_CHECK((x) >= (y), "Check failed: " #x " >= " #y " (", (x), " vs. ", (y), ")")
#define TORCH_CHECK_GT(x, y) TORCH_CHECK((x) > (y), "Check failed: " #x " > " #y " (", (x), " vs. ", (y), ")")
#define TORCH_INTERNAL_ASSERT(condition, ...)                                                              \
  do {                                                                                                     \
    if (FLAMBEAU_UNLIKELY(!(condition)))                                                                   \
      ::c10::detail::fail_internally(#condition, __FILE__, __LINE__, ::c10::detail::message(__VA_ARGS__)); \
  } while (false)
#ifdef NDEBUG
#define TORCH_INTERNAL_ASSERT_DEBUG_ONLY(...) \
  do {                                        \
  } while (false)
#else
#define TORCH_INTERNAL_ASSERT_DEBUG_ONLY(...) TORCH_INTERNAL_ASSERT(__VA_ARGS__)
#endif
#define AT_ASSERT(...) TORCH_INTERNAL_ASSERT(__VA_ARGS__)
#define AT_ASSERTM(condition, ...) TORCH_CHECK(condition, ##__VA_ARGS__)
#define AT_CHECK(condition, ...) TORCH_CHECK(condition, ##__VA_ARGS__)
#define AT_ERROR(...) ::flambeau::detail::raise<::c10::Error>(__VA_ARGS__)
#define AT_INDEX_ERROR(...) ::flambeau::detail::raise<::c10::IndexError>(__VA_ARGS__)
#define TORCH_WARN(...) ::flambeau::warn(::c10::str(__VA_ARGS__))
#define TORCH_WARN_ONCE(...)                                                     \
  do {                                                                           \
    [[maybe_unused]] static const bool warned = (TORCH_WARN(__VA_ARGS__), true); \
  } while (false)
#define C10_THROW_ERROR(error, message) throw ::c10::error(message)
